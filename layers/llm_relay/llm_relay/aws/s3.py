"""S3: the client, and the operations on one bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llm_relay.aws.boto3_client import boto3_client

if TYPE_CHECKING:
    from llm_relay.aws.s3_writer import ObjectWriter

_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}
_PRECONDITION_FAILED = {"PreconditionFailed", "412"}  # of IfNoneMatch or IfMatch


@lru_cache(maxsize=1)
def s3() -> Any:
    """Return the client of this environment, made on first use."""
    return boto3_client(
        "s3",
        connect_timeout=2,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 6},
        max_pool_connections=32,
        signature_version="s3v4",
        # Presigned URLs would otherwise name S3's global address, whose redirect breaks them.
        s3={"addressing_style": "virtual"},
    )


class Bucket:
    """One bucket; `client` makes S3's client."""

    def __init__(self, name: str, client: Callable[[], Any] = s3) -> None:
        self.name = name
        self._client = client

    def put(self, key: str, body: bytes) -> None:
        """Write an object, also over an existing one."""
        self._client().put_object(Bucket=self.name, Key=key, Body=body)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless it exists; return whether it was written."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

        try:
            self._client().put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in _PRECONDITION_FAILED:
                return False
            raise
        return True

    def get(
        self, key: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> bytes:
        """Return an object's bytes from `start` to `end` (exclusive).

        KeyError if there is no object, or none with the given ETag.
        """
        has_range = start > 0 or end is not None
        last = "" if end is None else end - 1
        more = {"Range": f"bytes={start}-{last}"} if has_range else {}
        body, _ = self.open(key, etag, **more)
        with body as stream:
            content: bytes = stream.read()
        return content

    def open(self, key: str, etag: str | None = None, **more: str) -> tuple[Any, str]:
        """Return an object's stream, to be closed, and its ETag; KeyError as from `get`."""
        if etag is not None:
            more["IfMatch"] = etag
        with _key_errors(key):
            found = self._client().get_object(Bucket=self.name, Key=key, **more)
        return found["Body"], found["ETag"]

    def head(self, key: str) -> Mapping[str, Any]:
        """Return an object's metadata (ContentLength, ETag, Metadata); KeyError if it is absent."""
        with _key_errors(key):
            head: Mapping[str, Any] = self._client().head_object(Bucket=self.name, Key=key)
        return head

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys with a prefix, in order."""
        pages = self._client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            for each in page.get("Contents", []):
                yield each["Key"]

    def delete(self, key: str) -> None:
        """Delete an object, if it exists."""
        self._client().delete_object(Bucket=self.name, Key=key)

    def presigned_url(self, key: str, seconds: int, file_name: str) -> str:
        """Return a URL that downloads the object without credentials, for so many seconds."""
        # Percent-encoded, so that a name can neither end the header nor break its character set.
        disposition = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        url: str = self._client().generate_presigned_url(
            "get_object",
            Params={"Bucket": self.name, "Key": key, "ResponseContentDisposition": disposition},
            ExpiresIn=seconds,
        )
        return url

    @contextmanager
    def writer(self, key: str, *, skip_empty: bool = False) -> Iterator[ObjectWriter]:
        """Write an object of any length; it exists only if the block ends without an error."""
        from llm_relay.aws.s3_writer import ObjectWriter  # noqa: PLC0415 - few functions need it

        writer = ObjectWriter(self._client(), {"Bucket": self.name, "Key": key})
        try:
            yield writer
            if writer.bytes or not skip_empty:
                writer.close()
        except BaseException:
            writer.abort()
            raise


@contextmanager
def _key_errors(key: str) -> Iterator[None]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_FOUND | _PRECONDITION_FAILED:
            raise KeyError(key) from None
        raise

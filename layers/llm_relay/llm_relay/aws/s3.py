"""S3: one client, and the few things that are done with one bucket."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llm_relay.aws.s3_writer import ObjectWriter

_MISSING = {"404", "NoSuchKey", "NotFound"}
_UNMET = {"PreconditionFailed", "412"}  # IfNoneMatch or IfMatch


@lru_cache(maxsize=1)
def s3() -> Any:
    """Return the client of this environment, made on first use."""
    import boto3  # noqa: PLC0415 - a quarter of a second that interactive calls need not wait
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=2,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 6},
        max_pool_connections=32,
        signature_version="s3v4",
        # Links would else name S3's global address, which redirects to a region and so breaks them.
        s3={"addressing_style": "virtual"},
    )
    return boto3.client("s3", config=patience)


class Bucket:
    """One bucket; keys are whole, bytes go in and out."""

    def __init__(self, name: str, client: Callable[[], Any] = s3) -> None:
        self.name = name
        self._client = client

    def put(self, key: str, body: bytes) -> None:
        """Write an object, over what there was."""
        self._client().put_object(Bucket=self.name, Key=key, Body=body)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one; return whether it was written."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

        try:
            self._client().put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in _UNMET:
                return False
            raise
        return True

    def get(
        self, key: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> bytes:
        """Return an object's bytes from `start` to `end` (not included).

        KeyError if there is none, or none that has the ETag, if one is given.
        """
        more = {} if end is None and not start else {"Range": _range(start, end)}
        more |= _pinned(etag)
        with self._found(key):
            body = self._client().get_object(Bucket=self.name, Key=key, **more)["Body"]
        with body:
            content: bytes = body.read()
        return content

    def open(self, key: str, etag: str | None = None) -> tuple[Any, str]:
        """Return an object to be read and closed, and its ETag; KeyError as from `get`."""
        with self._found(key):
            found = self._client().get_object(Bucket=self.name, Key=key, **_pinned(etag))
        return found["Body"], found["ETag"]

    def head(self, key: str) -> Mapping[str, Any]:
        """Return what S3 knows of an object (ContentLength, ETag, Metadata); KeyError without."""
        with self._found(key):
            head: Mapping[str, Any] = self._client().head_object(Bucket=self.name, Key=key)
        return head

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin like this, in order."""
        pages = self._client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            for each in page.get("Contents", []):
                yield each["Key"]

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        self._client().delete_object(Bucket=self.name, Key=key)

    def presigned_url(self, key: str, seconds: int, file_name: str) -> str:
        """Return a URL that anyone can read the object from, for so many seconds."""
        # Percent-encoded, so that a name can neither end the header nor break its character set.
        shown = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        url: str = self._client().generate_presigned_url(
            "get_object",
            Params={"Bucket": self.name, "Key": key, "ResponseContentDisposition": shown},
            ExpiresIn=seconds,
        )
        return url

    @contextmanager
    def writer(self, key: str) -> Iterator[ObjectWriter]:
        """Write an object of any length; nothing is there unless the block ends well."""
        from llm_relay.aws.s3_writer import ObjectWriter  # noqa: PLC0415 - few write so

        writer = ObjectWriter(self._client(), {"Bucket": self.name, "Key": key})
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abort()
            raise

    @contextmanager
    def _found(self, key: str) -> Iterator[None]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING | _UNMET:
                raise KeyError(key) from None
            raise


def _pinned(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"IfMatch": etag}


def _range(start: int, end: int | None) -> str:
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"

"""S3: one client, and the few things that are done with one bucket."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# S3 takes parts of 5 MiB and more, 10,000 of them: 80 GB in one object.
PART_BYTES = 8 * 1024 * 1024

_MISSING = {"404", "NoSuchKey", "NotFound"}
_EXISTS = {"PreconditionFailed", "412"}


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

    def put_new(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one; return whether it was written."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

        try:
            self._client().put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in _EXISTS:
                return False
            raise
        return True

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Return an object's bytes from `start` to `end` (not included); KeyError without it."""
        more = {} if end is None and not start else {"Range": _range(start, end)}
        with self._found(key):
            body = self._client().get_object(Bucket=self.name, Key=key, **more)["Body"]
        with body:
            content: bytes = body.read()
        return content

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

    def link(self, key: str, seconds: int, file_name: str) -> str:
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
        writer = ObjectWriter(self._client(), {"Bucket": self.name, "Key": key})
        try:
            yield writer
        except BaseException:
            writer.abort()
            raise
        writer.close()

    @contextmanager
    def _found(self, key: str) -> Iterator[None]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise KeyError(key) from None
            raise


class ObjectWriter:
    """An object that is being written in parts, so that no more than one is held in memory."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:
        self._client = client
        self._place = place
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []
        self._held = bytearray()
        self.bytes = 0

    def write(self, content: bytes) -> None:
        """Add to the object."""
        self._held += content
        self.bytes += len(content)
        if len(self._held) >= PART_BYTES:
            self._send()

    def close(self) -> None:
        """Make the object; until then nobody sees it."""
        if not self._upload:
            self._client.put_object(**self._place, Body=bytes(self._held))
            return
        if self._held:
            self._send()
        self._client.complete_multipart_upload(
            **self._place, **self._upload, MultipartUpload={"Parts": self._parts}
        )

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._upload:
            self._client.abort_multipart_upload(**self._place, **self._upload)

    def _send(self) -> None:
        if not self._upload:
            made = self._client.create_multipart_upload(**self._place)
            self._upload = {"UploadId": made["UploadId"]}
        number = len(self._parts) + 1
        sent = self._client.upload_part(
            **self._place, **self._upload, PartNumber=number, Body=bytes(self._held)
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        self._held.clear()


def _range(start: int, end: int | None) -> str:
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"

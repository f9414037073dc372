"""Writes an S3 object by a multipart upload, several parts at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# S3 takes 10,000 parts of at least 5 MiB; with growing parts, an object can have 250 GB.
_FIRST_PART_BYTES = 8 * 1024 * 1024
_PARTS_PER_SIZE = 2_000
# Each concurrent upload holds its part in memory; a single one uses a fraction of the bandwidth.
_MAX_UPLOADS = 4


class ObjectWriter:
    """An object that is being written, of which only a few parts are in memory."""

    def __init__(self, client: Any, target: dict[str, str]) -> None:
        self._client = client
        self._target = target
        self._upload: dict[str, str] = {}
        self._parts: list[Future[str]] = []
        self._pool = ThreadPoolExecutor(_MAX_UPLOADS, thread_name_prefix="part")
        self._buffer = bytearray()
        self.bytes = 0

    def write(self, content: bytes) -> None:
        """Append to the object."""
        self._buffer += content
        self.bytes += len(content)
        if len(self._buffer) >= part_size(len(self._parts)):
            self._send()

    def close(self) -> None:
        """Create the object; until then it does not exist."""
        if not self._upload:
            self._client.put_object(**self._target, Body=bytes(self._buffer))
            return
        if self._buffer:
            self._send()
        etags = enumerate((part.result() for part in self._parts), start=1)
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags]
        self._pool.shutdown()
        self._client.complete_multipart_upload(
            **self._target, **self._upload, MultipartUpload={"Parts": parts}
        )

    def abort(self) -> None:
        """Delete what was uploaded."""
        # A part that arrives after the abort would be stored, and billed.
        self._pool.shutdown(cancel_futures=True)
        if self._upload:
            self._client.abort_multipart_upload(**self._target, **self._upload)

    def _send(self) -> None:
        if not self._upload:
            created = self._client.create_multipart_upload(**self._target)
            self._upload = {"UploadId": created["UploadId"]}
        if len(self._parts) >= _MAX_UPLOADS:
            self._parts[-_MAX_UPLOADS].result()
        number = len(self._parts) + 1
        self._parts.append(self._pool.submit(self._upload_part, number, bytes(self._buffer)))
        self._buffer.clear()

    def _upload_part(self, number: int, body: bytes) -> str:
        target = self._target | self._upload
        etag: str = self._client.upload_part(**target, PartNumber=number, Body=body)["ETag"]
        return etag


def part_size(number: int) -> int:
    """Return the size in bytes of a part, counted from 0."""
    return _FIRST_PART_BYTES * (1 + number // _PARTS_PER_SIZE)

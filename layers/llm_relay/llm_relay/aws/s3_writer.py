"""Writes an object of S3 in parts, several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

# S3 takes 10,000 parts of 5 MiB and more; as these grow, they hold 250 GB.
_FIRST_PART_BYTES = 8 * 1024 * 1024
_PARTS_OF_A_SIZE = 2_000
# At once, each with its part in memory: one after the other is a fraction of what the line takes.
_UPLOADS = 4


class ObjectWriter:
    """An object that is being written in parts, so that only a few are held in memory."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:
        self._client = client
        self._place = place
        self._upload: dict[str, str] = {}
        self._parts: list[Future[str]] = []
        self._pool = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="part")
        self._held = bytearray()
        self.bytes = 0

    def write(self, content: bytes) -> None:
        """Add to the object."""
        self._held += content
        self.bytes += len(content)
        if len(self._held) >= part_size(len(self._parts)):
            self._send()

    def close(self) -> None:
        """Make the object; until then nobody sees it."""
        if not self._upload:
            self._client.put_object(**self._place, Body=bytes(self._held))
            return
        if self._held:
            self._send()
        tags = enumerate((part.result() for part in self._parts), start=1)
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in tags]
        self._pool.shutdown()
        self._client.complete_multipart_upload(
            **self._place, **self._upload, MultipartUpload={"Parts": parts}
        )

    def abort(self) -> None:
        """Leave nothing behind."""
        # A part that comes in after the end would be kept, and paid for.
        self._pool.shutdown(cancel_futures=True)
        if self._upload:
            self._client.abort_multipart_upload(**self._place, **self._upload)

    def _send(self) -> None:
        if not self._upload:
            made = self._client.create_multipart_upload(**self._place)
            self._upload = {"UploadId": made["UploadId"]}
        if len(self._parts) >= _UPLOADS:
            self._parts[-_UPLOADS].result()
        self._parts.append(self._pool.submit(self._put, len(self._parts) + 1, bytes(self._held)))
        self._held.clear()

    def _put(self, number: int, body: bytes) -> str:
        sent = self._client.upload_part(**self._place, **self._upload, PartNumber=number, Body=body)
        tag: str = sent["ETag"]
        return tag


def part_size(number: int) -> int:
    """Return how large a part of an object is, of which so many come before."""
    return _FIRST_PART_BYTES * (1 + number // _PARTS_OF_A_SIZE)

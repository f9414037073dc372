"""A fake S3 that generates a batch's file and parts when they are read, and drops results.

    python -m bench.batch.synthetic_bucket ROWS

Prints its port. The layers are to be on the path: parts are written as the worker writes them.
"""

# ruff: noqa: T201, N802 - a process that prints its port; the methods' names are http.server's
from __future__ import annotations

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import cast
from urllib.parse import parse_qs, urlsplit

from bench.batch.rows import ROW_BYTES, row
from llm_relay.batch.model.input_file import Chunk, parse_manifest
from llm_relay.batch.model.names import part_key
from llm_relay.batch.model.results import RowResult, format_part

ROWS_PER_PART = 64  # what half a second brings of 128 rows of a second
KEYS_PER_PAGE = 1000
LINE = b'{"id":"batch_req_0","custom_id":"row-%08d","response":{"status_code":200,"body":"%b"}}\n'
ANSWER = b"x" * 800
ROWS_AT_ONCE = 2000
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_UPLOAD = (
    _XML + "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
)
_UPLOADED = _XML + "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"


class Bucket(ThreadingHTTPServer):
    """The state of the one batch."""

    daemon_threads = True

    def __init__(self, rows: int) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.rows = rows
        self.manifest = b""
        self.chunks: list[Chunk] = []

    def keep(self, key: str, body: bytes) -> None:
        """Store the manifest, and nothing else."""
        if key.endswith("/manifest.json"):
            self.manifest, self.chunks = body, parse_manifest(body)

    def page(self, prefix: str, start: int) -> str:
        """Return a page of the keys of all parts, from a number on."""
        keys = list(islice(self._keys(prefix), start, start + KEYS_PER_PAGE + 1))
        contents = (f"<Contents><Key>{key}</Key></Contents>" for key in keys[:KEYS_PER_PAGE])
        more = ""
        if len(keys) > KEYS_PER_PAGE:
            token = f"<NextContinuationToken>{start + KEYS_PER_PAGE}</NextContinuationToken>"
            more = f"<IsTruncated>true</IsTruncated>{token}"
        return f"{_XML}<ListBucketResult>{more}{''.join(contents)}</ListBucketResult>"

    def part(self, key: str) -> bytes:
        """Return a part of the results."""
        chunk, name = key.split("/")[-2:]
        here = self.chunks[int(chunk)]
        first = here.first_row + ROWS_PER_PART * int(name.partition("-")[2])
        last = min(first + ROWS_PER_PART, here.first_row + here.rows)
        return format_part(
            RowResult(row=n, line=LINE % (n, ANSWER), is_answer=True, tokens_in=18, tokens_out=60)
            for n in range(first, last)
        )

    def _keys(self, prefix: str) -> Iterator[str]:
        batch = prefix.split("/")[1]
        for chunk in self.chunks:
            for number in range(-(-chunk.rows // ROWS_PER_PART)):
                yield part_key(batch, chunk.number, 1, number)


class Request(BaseHTTPRequestHandler):
    """One request of S3's API, as far as the batch functions use it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """List parts, or give an object."""
        key, query = self._asked()
        if "list-type" in query:
            self._answer(
                self._bucket.page(query["prefix"], int(query.get("continuation-token", 0)))
            )
        elif key.startswith("inbox/"):
            self._file()
        else:
            is_manifest = key.endswith("/manifest.json")
            self._answer(self._bucket.manifest if is_manifest else self._bucket.part(key))

    def do_PUT(self) -> None:
        """Take an object, or a part of one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._bucket.keep(self._asked()[0], body)
        self._answer(b"")

    def do_POST(self) -> None:
        """Begin or end an object in parts."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(_UPLOAD if "uploads" in self._asked()[1] else _UPLOADED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def _bucket(self) -> Bucket:
        return cast("Bucket", self.server)

    def _asked(self) -> tuple[str, dict[str, str]]:
        """Return the key and the query."""
        asked = urlsplit(self.path)
        query = parse_qs(asked.query, keep_blank_values=True)
        key = asked.path.removeprefix("/").partition("/")[2]
        return key, {name: values[0] for name, values in query.items()}

    def _file(self) -> None:
        self._head(self._bucket.rows * ROW_BYTES)
        for start in range(0, self._bucket.rows, ROWS_AT_ONCE):
            end = min(start + ROWS_AT_ONCE, self._bucket.rows)
            self.wfile.write(b"".join(map(row, range(start, end))))

    def _answer(self, body: bytes | str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self._head(len(content))
        self.wfile.write(content)

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"1"')
        self.end_headers()


if __name__ == "__main__":
    with Bucket(int(sys.argv[1])) as bucket:
        print(bucket.server_address[1], flush=True)
        bucket.serve_forever()

"""The provider or a proxy called directly, over one kept connection."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from bench.environment.environment import PROVIDER_KEY

if TYPE_CHECKING:
    from bench.environment.answers import Document

PIECE_BYTES = 65536
KEEP_SECONDS = 2.0  # servers close idle connections after 5 s
OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedResponse:
    """A response, with the seconds from the request to its first byte and to its end."""

    first_byte_seconds: float
    seconds: float
    body: bytes


class DirectClient:
    """A client that does nothing but HTTP."""

    def __init__(self, base_url: str, trust: Mapping[str, str]) -> None:
        where = urlsplit(base_url)
        host = where.netloc
        self._path = where.path
        self._used_at = 0.0
        if where.scheme == "https":
            context = ssl.create_default_context(cafile=trust["SSL_CERT_FILE"])
            self._connection: HTTPConnection = HTTPSConnection(host, context=context)
        else:
            self._connection = HTTPConnection(host)

    def __enter__(self) -> Self:
        """Connect at the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, question: Document, path: str = "/chat/completions") -> TimedResponse:
        """Send a request and read the answer to its end."""
        body = json.dumps(question).encode()
        headers = {"Authorization": f"Bearer {PROVIDER_KEY}", "Content-Type": "application/json"}
        if time.perf_counter() - self._used_at > KEEP_SECONDS:
            self._connection.close()
            self._connection.connect()
        begun = time.perf_counter()
        self._connection.request("POST", self._path + path, body, headers)
        response = self._connection.getresponse()
        pieces = [response.read1(PIECE_BYTES)]
        first = time.perf_counter()
        while piece := response.read1(PIECE_BYTES):
            pieces.append(piece)
        response.read()  # or the connection would not know that this was the end
        ended = time.perf_counter()
        self._used_at = ended
        if response.status != OK:
            raise RuntimeError(f"Status {response.status}: {b''.join(pieces)[:500]!r}")
        return TimedResponse(
            first_byte_seconds=first - begun, seconds=ended - begun, body=b"".join(pieces)
        )

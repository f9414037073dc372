"""Requests that no client library would make, at the running stack; the provider hears of none."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.payloads import QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Running

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BODY = json.dumps(QUESTION).encode()
TIMEOUT_SECONDS = 60
METHODS = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "GET", "PROPFIND"]
UNHEARD_OF = ["post", "POSTS", "EVIL", "\u043f"]  # which end before there is a route
TARGETS = [
    *("/v1/chat/completions/x", "//v1//chat//completions", "/v1/chat%2fcompletions", "/v1"),
    *("/V1/chat/completions", "/v1/chat/completions;a=b", "/v1/chat/completions%00", "/v1/chat"),
    *("/v1/../v1/chat/completions", "/v1/%2e%2e/v1/chat/completions", "/v2/chat/completions"),
    *("/v1/completions", "/v1/embeddings", "/chat/completions", "/_local/metrics/../v1", "/v1/*"),
    *("/v1/chat/completions%20", "/v1/chat/completions%0d%0aX-Evil:%201", "/%76%31/chat/x"),
    *("/2018-06-01/runtime/invocation/next", "/latest/meta-data/", "/.env", "/.git/config"),
]
KEYS = [
    *("", "Bearer", "Bearer ", "Basic c2s6c2s=", "bearer", "Token KEY", "KEY", "Bearer KEY KEY"),
    *("Bearer KEYx", "Bearer kEY", "Bearer KEY,", "Bearer \u043a\u043b\u044e\u0447" * 8),
    *("Bearer " + "x" * 7_000, "Bearer ' OR '1'='1' -- " + "x" * 20, "Bearer *" * 10),
    *("Bearer ../../../../etc/passwd/x", "Bearer sk-relay-ffffffffffff-0001-" + "x" * 40),
    *("Bearer null", "Bearer undefined", "Bearer ${KEY}0000000000000000000", "Bearer KEY\u00a0"),
]
TYPES = [
    *("text/plain", "text/html", "application/xml", "application/octet-stream", "image/png", ""),
    *("multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "evil", "a" * 5_000),
    *("application/json; charset=utf-16", "application/json, text/html", "\u00e9/\u00e9"),
]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, if anything did before the other end closed the connection."""

    status: int
    head: str
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether it is a refusal in OpenAI's shape."""
        error = json.loads(self.body)["error"]
        return 400 <= self.status < 500 and error.keys() == {"message", "type", "param", "code"}


class Wire:
    """Sends bytes as they are, each time over a connection of its own."""

    def __init__(self, running: Running) -> None:
        self.key = running.stack.client_key
        url = urlsplit(running.base_url)
        self._where = (url.hostname, url.port)

    def send(self, *pieces: bytes, hang_up: bool = False) -> Reply:
        with socket.create_connection(self._where, TIMEOUT_SECONDS) as connection:
            with suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
            if hang_up:
                return Reply(0, "", b"")
            return _read(connection)

    def ask(
        self,
        target: str = CHAT,
        method: str = "POST",
        authorization: str = "Bearer KEY",
        body: bytes = BODY,
        **headers: str,
    ) -> Reply:
        lines = {
            "Host": "relay",
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Authorization": authorization.replace("KEY", self.key),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        written = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return self.send(f"{method} {target} HTTP/1.1\r\n{written}\r\n".encode(), body)


def _read(connection: socket.socket) -> Reply:
    response = HTTPResponse(connection)
    try:
        response.begin()
        return Reply(response.status, str(response.headers), response.read())
    except IncompleteRead as cut:  # as the answer to a HEAD is
        return Reply(response.status, str(response.headers), cut.partial)
    except (HTTPException, ConnectionError):
        return Reply(0, "", b"")


@pytest.fixture(scope="module")
def wire(running: Running) -> Wire:
    """The way to a stack that has served a call."""
    wire = Wire(running)
    assert wire.ask().status == 200
    return wire


@pytest.fixture(autouse=True)
def _the_provider_hears_nothing(running: Running, wire: Wire) -> Iterator[None]:
    before = len(running.provider.calls)
    yield
    assert len(running.provider.calls) == before


@pytest.mark.parametrize("method", METHODS + UNHEARD_OF)
def test_another_method_invokes_no_function(wire: Wire, method: str) -> None:
    for target in (CHAT, RESPONSES):
        reply = wire.ask(target, method, X_HTTP_Method_Override="POST", X_Method="POST")
        assert 400 <= reply.status < 500
        assert method in ("HEAD", *UNHEARD_OF) or reply.is_refusal


@pytest.mark.parametrize("target", TARGETS)
def test_another_path_invokes_no_function(wire: Wire, target: str) -> None:
    for method in ("POST", "GET"):
        reply = wire.ask(target, method, X_Original_URL=CHAT, X_Rewrite_URL=CHAT)
        assert reply.is_refusal
        assert "evil" not in reply.head.lower()


@pytest.mark.parametrize("authorization", KEYS)
def test_an_invalid_client_key_is_refused(wire: Wire, authorization: str) -> None:
    reply = wire.ask(authorization=authorization)
    assert reply.status in (400, 401, 403)
    assert wire.key.encode() not in reply.body
    assert reply.status == 400 or reply.is_refusal


def test_only_the_authorization_header_is_read_for_the_key(wire: Wire) -> None:
    for query in (f"?key={wire.key}", f"?Authorization=Bearer%20{wire.key}"):
        assert wire.ask(CHAT + query, authorization="").status == 401
    for name in ("X-Api-Key", "Api-Key", "Proxy-Authorization", "Cookie", "X-Amz-Security-Token"):
        elsewhere: Any = {name: f"Bearer {wire.key}"}
        assert wire.ask(authorization="", **elsewhere).status == 401


@pytest.mark.parametrize("kind", TYPES)
def test_a_non_json_body_is_refused_for_any_content_type(wire: Wire, kind: str) -> None:
    for body in (b"model=a&messages=b", gzip.compress(BODY), b"\xff\xfe" + BODY):
        assert wire.ask(body=body, Content_Type=kind).is_refusal


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "evil"])
def test_a_compressed_body_is_not_decompressed(wire: Wire, coding: str) -> None:
    bomb = gzip.compress(b"[" * 4_000_000)
    reply = wire.ask(body=bomb, Content_Encoding=coding)
    assert 400 <= reply.status < 500


HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer KEY\r\n"
BROKEN = {
    "a length that is none": b"Content-Length: x\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}",
    "a length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
    "a chunk of a negative size": b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond sense": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
    "chunks by another name": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a header without a name": b": evil\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the colon": b"Content-Length : 2\r\n\r\n{}",
    "a NUL in a header": b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a header without an end": b"X: " + b"a" * 200_000,
    "headers without an end": b"X: a\r\n" * 50_000,
    "a megabyte of a header": b"X: " + b"a" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_http_is_refused(wire: Wire, name: str) -> None:
    ends = b"\r\nConnection: close\r\n\r\n"
    reply = wire.send(HEAD.replace("KEY", wire.key).encode(), BROKEN[name], ends)
    assert reply.status == 0 or 400 <= reply.status < 500


@pytest.mark.parametrize("sent", [0, 1, len(BODY) // 2, len(BODY) - 1])
def test_an_incomplete_body_invokes_no_function(wire: Wire, sent: int) -> None:
    head = HEAD.replace("KEY", wire.key) + f"Content-Length: {len(BODY)}\r\n\r\n"
    wire.send(head.encode(), BODY[:sent], hang_up=True)


def test_slow_bodies_delay_no_other_caller(wire: Wire, running: Running) -> None:
    head = HEAD.replace("KEY", wire.key) + f"Content-Length: {len(BODY)}\r\n\r\n"
    url = urlsplit(running.base_url)
    with ExitStack() as slow:
        for _ in range(50):
            connection = socket.create_connection((url.hostname, url.port), TIMEOUT_SECONDS)
            slow.enter_context(connection).sendall(head.encode() + BODY[:1])
        assert wire.ask(body=b"{}").is_refusal

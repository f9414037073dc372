"""Stands between the functions and their AWS, and keeps what each of them asks for."""

from __future__ import annotations

import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.e2e.aws_calls import Asked, calls_in

if TYPE_CHECKING:
    from tests.e2e.aws_calls import AwsCall

# Of one connection, or set again by the next sender.
OWN = {"connection", "content-length", "date", "expect", "host", "server", "transfer-encoding"}
NO_BODY = {204, 304}


class Server(ThreadingHTTPServer):
    """One whose callers keep their connections, and may die with them."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class AwsRecorder:
    """A proxy in front of an AWS on loopback; `url` is for the functions."""

    calls: set[AwsCall] = field(default_factory=set)
    unrecognized: list[str] = field(default_factory=list)  # requests without a recognized call
    aws_url: str = ""

    def __enter__(self) -> AwsRecorder:
        class Handler(Passing):
            recorder = self

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def record(self, asked: Asked, status: int) -> None:
        """Keep what IAM would have been asked about one request."""
        try:
            self.calls |= {*calls_in(asked, status)}
        except (KeyError, TypeError, ValueError) as error:
            self.unrecognized.append(f"{asked.method} {asked.path}: {error!r}")


class Passing(BaseHTTPRequestHandler):
    """Hands each request on as it is, and its answer back."""

    protocol_version = "HTTP/1.1"
    recorder: AwsRecorder

    def hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN}
        aws = HTTPConnection(urlsplit(self.recorder.aws_url).netloc, timeout=30)
        with closing(aws):
            aws.request(self.command, self.path, body, headers)
            answer = aws.getresponse()
            content = answer.read()
        asked = Asked(self.command, self.path, {k.lower(): v for k, v in headers.items()}, body)
        self.recorder.record(asked, answer.status)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in OWN:
                self.send_header(name, value)
        if answer.status not in NO_BODY:
            of_head = answer.getheader("content-length") if self.command == "HEAD" else None
            self.send_header("content-length", of_head or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = hand_on

    def log_message(self, *_: Any) -> None:
        return

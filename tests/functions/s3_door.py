"""The way to moto's S3, on which reads of parts are held up."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 60


@dataclass
class S3Door:
    """Lets everything pass at once, and parts when it is `open`; `held` wait for that."""

    aws: str
    held: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> S3Door:
        self._turn = threading.Lock()
        handler = type("Handler", (_Handler,), {"door": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def hold(self) -> None:
        with self._turn:
            self.held += 1
        self.open.wait(_PATIENCE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    door: S3Door

    def do_GET(self) -> None:
        if "/parts/" in self.path.partition("?")[0]:
            self.door.hold()
        self._pass_on(b"")

    def do_PUT(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.door.aws).netloc)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        self.close_connection = True
        self.send_response(response.status)
        for name in ("ETag", "Content-Type", "Content-Range"):
            if value := response.headers[name]:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

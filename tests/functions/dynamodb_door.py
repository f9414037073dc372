"""The way to moto's DynamoDB: one request at a time, and faults where a test wants them."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

# The request is lost; its reply is lost after it was done; another change is in its way; it fails.
LOST, UNHEARD, CONFLICT, AWAY = "lost", "unheard", "conflict", "away"
_PREFIX = "com.amazonaws.dynamodb.v20120810#"
_CONFLICTS: dict[str, Any] = {
    "UpdateItem": {"__type": f"{_PREFIX}TransactionConflictException", "message": "conflict"},
    "TransactWriteItems": {
        "__type": f"{_PREFIX}TransactionCanceledException",
        "Message": "cancelled",
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    },
}


@dataclass
class Door:
    """DynamoDB's operations as they passed, and the fault that the next one meets, if any."""

    aws: str
    operations: list[str] = field(default_factory=list)
    fault: Callable[[str], str | None] = field(default=lambda _operation: None)

    def __enter__(self) -> Door:
        self._turn = threading.Lock()  # moto reads and writes in two steps
        handler = type("Handler", (_Handler,), {"door": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def pass_on(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Return the answer, or None for a connection that breaks."""
        operation = headers["X-Amz-Target"].rpartition(".")[2]
        with self._turn:
            self.operations.append(operation)
            fault = self.fault(operation)
            if fault == CONFLICT and operation in _CONFLICTS:
                return 400, json.dumps(_CONFLICTS[operation]).encode()
            if fault == AWAY:
                return 500, json.dumps({"__type": f"{_PREFIX}InternalServerError"}).encode()
            answer = None if fault == LOST else self._done(headers, body)
            return None if fault == UNHEARD else answer

    def _done(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.aws).netloc)
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    door: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.door.pass_on(dict(self.headers.items()), body)
        self.close_connection = True
        if answer:
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer[1])))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer[1])

    def log_message(self, *_: object) -> None:
        """Say nothing."""

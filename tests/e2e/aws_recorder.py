"""Stands between the functions and their AWS, and keeps what each of them asks for."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

from tests.template.policies import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

# A function is known by the access key that it signs with.
SIGNATURE = re.compile(r"Credential=(?P<function>[^/]+)/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
PK_VALUE = re.compile(r"\bpk = (:\w+)")
TRANSACTION = "TransactWriteItems"
HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}


@dataclass(frozen=True)
class AwsCall:
    """A call that a function made."""

    function: str
    request: Request


@dataclass
class AwsRecorder:
    """A proxy in front of an AWS on loopback; `url` is for the functions."""

    calls: set[AwsCall] = field(default_factory=set)
    aws_url: str = ""

    def __enter__(self) -> AwsRecorder:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            recorder = self

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.recorder.calls |= set(recorded(dict(self.headers), body))
                given = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
                url = self.recorder.aws_url + self.path
                answer = requests.post(url, body, headers=given, timeout=30)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True  # the functions keep their connections
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def recorded(headers: dict[str, str], body: bytes) -> Iterator[AwsCall]:
    """What IAM would be asked about one HTTP request; several things for a transaction."""
    signed = SIGNATURE.search(headers.get("Authorization", ""))
    assert signed, "a call that is not signed"
    function, service = signed["function"], signed["service"]
    operation = headers["X-Amz-Target"].rpartition(".")[2]
    said = json.loads(body)
    if operation == TRANSACTION:
        for item in said["TransactItems"]:
            ((kind, part),) = item.items()
            action = kind if kind == "ConditionCheck" else f"{kind}Item"
            yield AwsCall(function, on_item(action, part))
    elif service == "dynamodb":
        yield AwsCall(function, on_item(operation, said))
    else:
        yield AwsCall(function, Request(f"{service}:{operation}", said["SecretId"]))


def on_item(operation: str, said: dict[str, Any]) -> Request:
    """A call of DynamoDB with the table's name for a resource, and the item's partition key."""
    key = said.get("Key") or said.get("Item") or keyed_by(said)
    value = key.get("pk") or key.get("id")
    return Request(f"dynamodb:{operation}", said["TableName"], (value["S"],) if value else ())


def keyed_by(said: dict[str, Any]) -> dict[str, Any]:
    """The partition key that a query names in its condition."""
    found = PK_VALUE.search(said.get("KeyConditionExpression", ""))
    return {"pk": said["ExpressionAttributeValues"][found[1]]} if found else {}

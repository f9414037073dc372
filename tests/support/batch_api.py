"""The routes of files and batches behind a loopback server, as API Gateway would serve them."""

from __future__ import annotations

import base64
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from llm_relay.batch.api.submit import step_functions
from tests.support.caller_faults import calling_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

    from tests.support.batch_environment import BatchAws

_ROUTES = (
    "/v1/files",
    "/v1/files/{id}",
    "/v1/files/{id}/content",
    "/v1/batches",
    "/v1/batches/{id}",
    "/v1/batches/{id}/cancel",
)


class BatchApi:
    """A server whose callers' keys are the ids that API Gateway would know them by."""

    def __enter__(self) -> BatchApi:
        import openai  # noqa: PLC0415 - a second that most tests need not wait

        # Nothing uses TLS here, and loading the list of authorities takes long.
        self.http = openai.DefaultHttpxClient(verify=False)  # noqa: S501
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def client(self, key: str = "key-1") -> openai.OpenAI:
        """The official client, with a key; it does not ask again."""
        import openai  # noqa: PLC0415 - also slow

        return openai.OpenAI(
            base_url=self.base_url, api_key=key, max_retries=0, http_client=self.http
        )

    def ask(self, method: str, path: str, content_type: str = "", body: bytes = b"") -> Any:
        """The answer to a request that the official client would not make."""
        headers = {"Authorization": "Bearer key-1", "Content-Type": content_type}
        url = self.base_url + path
        return self.http.request(method, url, content=body, headers=headers, follow_redirects=False)


def event_of(method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the event that API Gateway makes of a request."""
    url = urlsplit(target)
    resource, parameters = _resource(url.path)
    known = {name.lower(): value for name, value in headers.items()}
    key = known.get("authorization", "").removeprefix("Bearer ")
    is_binary = known.get("content-type", "").startswith("multipart/form-data")
    return {
        "resource": resource,
        "path": url.path,
        "httpMethod": method,
        "headers": headers,
        "queryStringParameters": dict(parse_qsl(url.query)) or None,
        "pathParameters": parameters,
        "requestContext": {"requestId": "request-1", "identity": {"apiKeyId": key}},
        "body": (base64.b64encode(body) if is_binary else body).decode() or None,
        "isBase64Encoded": is_binary,
    }


def _resource(path: str) -> tuple[str, dict[str, str] | None]:
    for route in _ROUTES:
        if found := re.fullmatch(route.replace("{id}", "(?P<id>[^/]+)"), path):
            return route, found.groupdict() or None
    raise LookupError(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _answer(self) -> None:
        from functions.batches.handler import handler as batches  # noqa: PLC0415
        from functions.files.handler import handler as files  # noqa: PLC0415

        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        event = event_of(self.command, self.path, dict(self.headers.items()), body)
        handler = files if event["resource"].startswith("/v1/files") else batches
        with calling_as(self.headers.get("Idempotency-Key", "")):
            result = handler(event, None)
        content = result["body"].encode()
        self.send_response(result["statusCode"])
        for name, value in {**result["headers"], "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def state_machine(batch_aws: BatchAws) -> Iterator[str]:
    """The ARN of the state machine that the functions know."""
    step_functions.cache_clear()
    yield batch_aws.add_state_machine()
    step_functions().close()
    step_functions.cache_clear()


@pytest.fixture
def api(batch_aws: BatchAws) -> Iterator[BatchApi]:
    """The routes, on a bucket and a table of their own."""
    with BatchApi() as served:
        yield served

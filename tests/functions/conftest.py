"""Runs the handlers in this process, against a scripted provider and moto's Secrets Manager."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.awsrequest
import pytest
from moto.server import ThreadedMotoServer
from urllib3.util import Timeout

from llm_relay.api import relay
from llm_relay.aws.lambda_streaming import StreamResponse
from tests.support.batch_api import api, state_machine  # noqa: F401 - fixtures
from tests.support.batch_environment import batch_aws  # noqa: F401 - a fixture
from tests.support.event_recorder import published_events  # noqa: F401 - a fixture
from tests.support.ledger_accounts import accounts  # noqa: F401 - a fixture
from tests.support.payloads import COMPLETION, QUESTION
from tests.support.provider_pair import pair  # noqa: F401 - a fixture
from tests.support.scripted_provider import ScriptedProvider, pieces, wait_until, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOTO_SECONDS = 100
PROVIDER_KEY = "ak_canary_provider_key_0000000000"


@dataclass
class Context:
    """As much of the Lambda context as the handlers use."""

    seconds: float = 60
    started: float = 0

    def get_remaining_time_in_millis(self) -> int:
        return int((self.seconds - (time.monotonic() - self.started)) * 1000)


@dataclass
class Answered:
    """A handler's answer, taken to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json()["error"]


@dataclass
class Secret:
    """The provider's key in Secrets Manager."""

    arn: str
    client: Any

    def put(self, value: str) -> None:
        self.client.put_secret_value(SecretId=self.arn, SecretString=value)


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The endpoint of an AWS on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with long_timeouts_for(port):
        yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def long_timeouts_for(moto_port: int) -> Iterator[None]:
    """Give AWS clients long timeouts for moto, so that they do not retry on a busy machine."""

    outer: Any = botocore.awsrequest.AWSHTTPConnectionPool  # or a pool of ours for another port

    class Pool(outer):  # type: ignore[misc]
        def __init__(self, host: str, port: int | None = None, **more: Any) -> None:
            if port == moto_port:
                more["timeout"] = Timeout(MOTO_SECONDS)
            super().__init__(host, port, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.awsrequest, "AWSHTTPConnectionPool", Pool)
        yield


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, aws: str) -> pytest.MonkeyPatch:
    """The environment that Lambda gives a function, with nothing cached from before."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "llm-relay",
        "POWERTOOLS_METRICS_NAMESPACE": "LlmRelay",
        "PROVIDER_DIALECT": "abliteration",
        "UPSTREAM_KEEP_SECONDS": "60",  # a busy machine makes no connection too old
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SAM_LOCAL", "ABLIT_KEY", "ABLITERATION_API_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    relay.provider_router.cache_clear()
    _log_to_this_test_s_stdout()
    return monkeypatch


def _log_to_this_test_s_stdout() -> None:
    """Powertools keeps the stdout that it met first, which was another test's."""
    for handler in logging.getLogger("llm-relay").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = _Stdout()


class _Stdout:
    """Whatever stdout is at the moment."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


@pytest.fixture
def secret(environment: pytest.MonkeyPatch, aws: str) -> Iterator[Secret]:
    client = boto3.client("secretsmanager", endpoint_url=aws)
    arn = client.create_secret(Name=f"provider-key-{time.monotonic_ns()}")["ARN"]
    stored = Secret(arn, client)
    stored.put(PROVIDER_KEY)
    environment.setenv("PROVIDER_KEY_SECRET_ARN", arn)
    yield stored
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    client.close()


@pytest.fixture
def provider(environment: pytest.MonkeyPatch, secret: Secret) -> Iterator[ScriptedProvider]:
    """A provider without a script yet: a test gives it one."""
    with ScriptedProvider() as scripted:
        environment.setenv("UPSTREAM_BASE_URL", scripted.base_url)
        yield scripted
        relay.provider_router.cache_clear()


def proxy_event(method: str, path: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    """Return the event of one request; a payload that is no string is sent as JSON."""
    body = payload if isinstance(payload, str | None) else json.dumps(payload)
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "pathParameters": None,
        "requestContext": {"requestId": "request-1", "identity": {"apiKeyId": "client-1"}},
        "body": body,
        "isBase64Encoded": False,
    } | more


def taken(result: Any, at_first: Callable[[], Any] | None = None) -> Answered:
    """Take a handler's result to its end, as the runtime and API Gateway do.

    `at_first` is called as soon as the first piece of a stream is there.
    """
    if isinstance(result, StreamResponse):
        body = b""
        for piece in pieces(result.body):
            if at_first and not body:
                at_first()
            body += piece
        return Answered(result.status, dict(result.headers), body)
    return Answered(result["statusCode"], result["headers"], result["body"].encode())


@pytest.fixture
def ask(provider: ScriptedProvider) -> Callable[..., Answered]:
    """Ask one of the relay functions with a payload."""
    from functions.chat_completions.handler import handler as chat  # noqa: PLC0415
    from functions.responses.handler import handler as responses  # noqa: PLC0415

    handlers = {"chat": (chat, "/v1/chat/completions"), "responses": (responses, "/v1/responses")}

    def ask(
        payload: Any,
        surface: str = "chat",
        seconds: float = 60,
        at_first: Callable[[], Any] | None = None,
        **more: Any,
    ) -> Answered:
        handler, path = handlers[surface]
        event = proxy_event("POST", path, payload, **more)
        return taken(handler(event, Context(seconds, time.monotonic())), at_first)

    return ask


@pytest.fixture
def short_timeouts(environment: pytest.MonkeyPatch) -> None:
    """Have the relay wait four seconds for the head of an answer, from the request's coming on."""
    environment.setenv("UPSTREAM_FIRST_BYTE_SECONDS", "4")


@pytest.fixture
def warm(provider: ScriptedProvider, ask: Callable[..., Answered]) -> ScriptedProvider:
    """A provider that was asked before: no short deadline has to suffice for fetching its key."""
    provider.scripts = [whole(200, COMPLETION)]
    wait_until(lambda: ask(QUESTION).status == 200)
    provider.requests.clear()
    return provider

"""The AWS calls the functions actually make, compared with their roles."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import openai
import pytest

from local.settings import Settings
from local.stack import Stack
from tests.e2e.aws_recorder import AwsRecorder
from tests.e2e.batch.batches import wait_for
from tests.e2e.full_scenario import User, use_everything
from tests.template.calls import CLIENT, Needed, covers
from tests.template.permissions.needed import FUNCTIONS, calls_of
from tests.template.permissions.policies import Request, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Loop

pytestmark = pytest.mark.timeout(300)  # a whole stack is used in all of its ways

POOR = "ba9876543210"
LAST_CALL_SECONDS = 100
# So that a handful of rows is more than a worker asks at once.
PARAMETERS = {"BatchRowsAtOnce": 4, "ThrottleRequestsPerSecond": 1000, "ThrottleBurst": 1000}


class Hook:
    """A webhook on loopback; `events` has their kinds, by id, as some come twice."""

    def __enter__(self) -> Hook:
        self.events = events = dict[str, str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                event = json.loads(body)
                events[event["id"]] = event["type"]
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def key_of(stack: Stack, client: str, budget_nanos: int) -> str:
    """The key, on the stack's usage plan, of a new client with a budget."""
    key = f"sk-relay-{client}-0001-{'x' * 40}"
    gateway = stack.aws("apigateway")
    made = gateway.create_api_key(name=client, value=key, enabled=True)["id"]
    plan = stack.template.ref("UsagePlan")
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=made, keyType="API_KEY")
    stack.aws("dynamodb").put_item(
        TableName=stack.template.ref("ClientsTable"),
        Item={
            "pk": {"S": f"client#{client}"},
            "sk": {"S": "profile"},
            "name": {"S": client},
            "created_at": {"N": "1795000000"},
            "budget_nanos": {"N": str(budget_nanos)},
            "budget_per": {"S": "day"},
            "keys": {
                "M": {"0001": {"M": {"key_id": {"S": made}, "created_at": {"N": "1795000000"}}}}
            },
        },
    )
    return key


def asking(stack: Stack, key: str) -> dict[str, Any]:
    """Settings of the official client, which asks once and does not try again."""
    return {"base_url": f"{stack.base_url}/v1", "api_key": key, "max_retries": 0}


@dataclass(frozen=True)
class Observed:
    """A stack, and what its functions asked of AWS."""

    stack: Stack
    recorder: AwsRecorder

    def requests(self, function: str) -> set[Request]:
        """What one function asked, as IAM would be asked about it."""
        calls = [*self.recorder.calls]  # more may come while these are looked at
        return {call.request for call in calls if call.function == function}

    def missing(self, function: str) -> list[Needed]:
        """What one function is said to ask, and has not asked."""
        template, requests = self.stack.template, self.requests(function)
        listed = (call for call in calls_of(template, function) if not call.unseen)
        return [call for call in listed if not any(covers(template, call, r) for r in requests)]


@pytest.fixture(scope="module")
def observed(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    log = tmp_path_factory.mktemp("stack") / "functions.log"
    with AwsRecorder() as recorder, Hook() as hook, ExitStack() as closing:
        parameters = PARAMETERS | {"WebhookUrl": "https://example.com/hook"}
        # The template wants https; the hook on loopback speaks http.
        environment = {"AWS_ENDPOINT_URL": recorder.url, "WEBHOOK_URL": hook.url}
        stack = Stack(Settings(log=log, environment=environment, parameters=parameters))
        loop.run(stack.__aenter__())
        closing.callback(lambda: loop.run(stack.__aexit__(None, None, None)))
        recorder.aws_url = stack.aws_endpoint_url
        for name, function in stack.functions.items():
            signs = {**function.spec.environment, "AWS_ACCESS_KEY_ID": name}
            function.spec = replace(function.spec, environment=signs)
        client, rich, poor = (
            closing.enter_context(openai.OpenAI(**asking(stack, key)))
            for key in (
                stack.client_key,
                key_of(stack, CLIENT, 5_000_000_000),
                key_of(stack, POOR, 1),
            )
        )
        use_everything(User(stack, client, rich, poor, hook.events))
        observed = Observed(stack, recorder)
        with suppress(TimeoutError):  # the test reports what is missing then
            wait_for(lambda: not any(map(observed.missing, FUNCTIONS)), LAST_CALL_SECONDS)
        yield observed


def test_every_request_to_aws_is_recognized(observed: Observed) -> None:
    assert observed.recorder.unrecognized == []
    assert {call.function for call in observed.recorder.calls} <= {*FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_every_call_that_its_function_makes(
    observed: Observed, function: str
) -> None:
    role = role_of(observed.stack.template, function)
    assert [r for r in observed.requests(function) if not role.allows(r)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_list_of_a_function_s_calls_is_what_it_makes(observed: Observed, function: str) -> None:
    template, requests = observed.stack.template, observed.requests(function)
    listed = calls_of(template, function)
    assert [r for r in requests if not any(covers(template, c, r) for c in listed)] == []
    assert observed.missing(function) == []
    seen = [call for call in listed if any(covers(template, call, r) for r in requests)]
    assert [call for call in seen if call.unseen] == []

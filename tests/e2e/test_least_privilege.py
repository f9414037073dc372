"""What the functions ask of AWS in truth, held against what their roles allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import openai
import pytest
import requests

from local.settings import Settings
from local.stack import Stack
from tests.e2e.aws_recorder import AwsCall, AwsRecorder
from tests.template.policies import Request, role_of
from tests.template.test_least_privilege import CALLS, CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Loop

KEY = f"sk-relay-{CLIENT}-0001-{'x' * 40}"
MODEL = "abliterated-model"
MESSAGES: Any = [{"role": "user", "content": "Reply with: it works"}]


def make_client(stack: Stack) -> None:
    """A client with a budget, and a key of its own on the stack's usage plan."""
    gateway = stack.aws("apigateway")
    made = gateway.create_api_key(name="client", value=KEY, enabled=True)["id"]
    plan = stack.template.ref("UsagePlan")
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=made, keyType="API_KEY")
    stack.aws("dynamodb").put_item(
        TableName=stack.template.ref("ClientsTable"),
        Item={
            "pk": {"S": f"client#{CLIENT}"},
            "sk": {"S": "profile"},
            "name": {"S": "client"},
            "created_at": {"N": "1795000000"},
            "budget_nanos": {"N": "5000000000"},
            "budget_per": {"S": "day"},
            "keys": {
                "M": {"0001": {"M": {"key_id": {"S": made}, "created_at": {"N": "1795000000"}}}}
            },
        },
    )


def use_everything(client: openai.OpenAI) -> None:
    """Each route, whole and streamed, kept, repeated and refused."""
    chat, responses = client.chat.completions, client.responses
    for number in (1, 1, 2):
        once: Any = {"extra_headers": {"Idempotency-Key": f"a-key-{number}"}}
        chat.create(model=MODEL, messages=MESSAGES, **once)
        responses.create(model=MODEL, input=MESSAGES, **once)
    list(chat.create(model=MODEL, messages=MESSAGES, stream=True))
    list(responses.create(model=MODEL, input=MESSAGES, stream=True))
    refused: Any = {"extra_headers": {"Idempotency-Key": "refused"}}
    with pytest.raises(openai.BadRequestError):
        chat.create(model=MODEL, messages=[], **refused)
    with pytest.raises(openai.BadRequestError):
        responses.create(model=MODEL, input=[], **refused)
    client.models.list()
    base_url = str(client.base_url).rstrip("/")
    for url in (f"{base_url}/usage", base_url.replace("/v1", "/health")):
        headers = {"Authorization": f"Bearer {KEY}"}
        assert requests.get(url, headers=headers, timeout=30).status_code == 200


@dataclass(frozen=True)
class Observed:
    """A stack, and what its functions asked of AWS; resources by what moto calls them."""

    stack: Stack
    calls: set[AwsCall]

    def target(self, call: AwsCall) -> str:
        """The logical id of what a call was about."""
        physical_ids = self.stack.template.physical_ids.items()
        return {physical: logical for logical, physical in physical_ids}[call.request.resource]

    def request(self, call: AwsCall) -> Request:
        """A call as IAM would be asked about it."""
        if self.target(call) == "ProviderKeySecret":
            return call.request
        return replace(
            call.request, resource=self.stack.template.attribute(self.target(call), "Arn")
        )


@pytest.fixture(scope="module")
def observed(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    log = tmp_path_factory.mktemp("stack") / "functions.log"
    with AwsRecorder() as recorder:
        stack = Stack(Settings(log=log, environment={"AWS_ENDPOINT_URL": recorder.url}))
        loop.run(stack.__aenter__())
        recorder.aws_url = stack.aws_endpoint_url
        for name, function in stack.functions.items():
            signs = {**function.spec.environment, "AWS_ACCESS_KEY_ID": name}
            function.spec = replace(function.spec, environment=signs)
        make_client(stack)
        try:
            with openai.OpenAI(
                base_url=f"{stack.base_url}/v1", api_key=KEY, max_retries=0
            ) as client:
                use_everything(client)
            yield Observed(stack, recorder.calls)
        finally:
            loop.run(stack.__aexit__(None, None, None))


@pytest.mark.parametrize("function", CALLS)
def test_a_role_allows_every_call_that_its_function_makes(
    observed: Observed, function: str
) -> None:
    role = role_of(observed.stack.template, function)
    made = [observed.request(call) for call in observed.calls if call.function == function]
    assert [request for request in made if not role.allows(request)] == []


@pytest.mark.parametrize("function", CALLS)
def test_the_list_of_a_function_s_calls_is_what_it_makes(observed: Observed, function: str) -> None:
    made = {
        (call.request.action, observed.target(call), "".join(map(prefix, call.request.keys)))
        for call in observed.calls
        if call.function == function
    }
    assert made == {(call.action, call.target, call.key) for call in CALLS[function]}


def prefix(key: str) -> str:
    """The part of a partition key that a role can tell apart."""
    return key.partition("#")[0] + "#"

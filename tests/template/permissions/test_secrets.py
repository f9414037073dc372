"""Where the provider's key may be, and who may read it."""

import json
import re
from typing import Any

import pytest

from tests.template.stack import ROOT, Stack, choose
from tests.template.test_functions import as_list

OWN_SECRET = {"Ref": "ProviderKeySecret"}
GIVEN_SECRET = {"Ref": "ProviderKeySecretArn"}
WEBHOOK_SECRET = {"Ref": "WebhookSecret"}
PROVIDER_KEY_VARIABLES = ["ABLIT_KEY", "ABLITERATION_API_KEY"]


def readers(stack: Stack) -> dict[str, Any]:
    """The provider's secret, as the environment of each function that may read it names it."""
    return {
        name: statement["Resource"]
        for name in stack.functions
        for statement in stack.statements(name)
        if "secretsmanager" in json.dumps(statement["Action"])
        if statement["Resource"] != WEBHOOK_SECRET
    }


def test_only_the_functions_that_call_the_provider_may_read_its_key(stack: Stack) -> None:
    callers = {n for n in stack.functions if "UPSTREAM_BASE_URL" in stack.environment(n)}
    assert set(readers(stack)) == callers
    assert {"ChatCompletionsFunction", "ResponsesFunction", "ModelsFunction"} <= callers
    assert callers.isdisjoint(
        {"AuthorizerFunction", "HealthFunction", "OpenapiFunction", "PlaygroundFunction"}
    )


def test_a_reader_of_the_key_may_do_nothing_else_with_secrets(stack: Stack) -> None:
    actions = [
        statement["Action"]
        for name in readers(stack)
        for statement in stack.statements(name)
        if "secretsmanager" in json.dumps(statement["Action"])
    ]
    assert [a for a in actions if as_list(a) != ["secretsmanager:GetSecretValue"]] == []


@pytest.mark.parametrize(("created", "secret"), [(True, OWN_SECRET), (False, GIVEN_SECRET)])
def test_a_reader_names_and_may_read_the_same_secret(
    stack: Stack, created: bool, secret: dict[str, str]
) -> None:
    conditions = {"CreatesProviderKeySecret": created}
    for name, resource in readers(stack).items():
        named = stack.environment(name)["PROVIDER_KEY_SECRET_ARN"]
        _, names = choose(resource, conditions)["Fn::Sub"]
        assert choose(named, conditions) == secret
        assert list(names.values()) == [secret]


def test_the_stack_makes_a_secret_only_when_none_is_given(stack: Stack) -> None:
    condition = stack.translated["Conditions"]["CreatesProviderKeySecret"]
    assert condition == {"Fn::Equals": [GIVEN_SECRET, ""]}
    assert stack.translated["Resources"]["ProviderKeySecret"]["Condition"] == (
        "CreatesProviderKeySecret"
    )
    assert stack.translated["Parameters"]["ProviderKeySecretArn"]["Default"] == ""


def test_the_secret_is_created_empty(stack: Stack) -> None:
    secret = stack.of_type("AWS::SecretsManager::Secret")["ProviderKeySecret"]
    assert secret.keys() & {"SecretString", "GenerateSecretString"} == set()


def test_the_webhook_s_secret_exists_only_with_a_webhook_and_is_read_by_its_senders(
    stack: Stack,
) -> None:
    assert stack.translated["Resources"]["WebhookSecret"]["Condition"] == "TellsWebhook"
    tellers = {n for n in stack.functions if "WEBHOOK_URL" in stack.environment(n)}
    allowed = {
        name
        for name in stack.functions
        for statement in stack.statements(name)
        if statement["Resource"] == WEBHOOK_SECRET
    }
    assert allowed == tellers
    assert tellers


def test_no_parameter_takes_a_key(stack: Stack) -> None:
    names = stack.translated["Parameters"]
    asking = [n for n in names if re.search("(?i)key|secret|token|password", n)]
    assert asking == ["ProviderKeySecretArn", "ProviderSecretArns"]


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://api.example.com", True),
        ("http://127.0.0.1:8080/v1@2/?a=b@c", True),
        ("https://user:password@api.example.com/v1", False),
        ("https://password@api.example.com", False),
        ("api.example.com", False),
    ],
)
def test_the_base_url_holds_no_user_or_password(stack: Stack, url: str, is_good: bool) -> None:
    pattern = stack.translated["Parameters"]["UpstreamBaseUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, url)) == is_good


def test_the_variables_for_a_key_on_a_laptop_are_empty_when_deployed(stack: Stack) -> None:
    found = [
        stack.environment(function)[variable]
        for function in readers(stack)
        for variable in PROVIDER_KEY_VARIABLES
    ]
    assert set(found) == {""}


def test_nothing_resolves_a_secret_into_the_stack() -> None:
    assert "{{resolve:" not in (ROOT / "template.yaml").read_text()


def test_no_output_shows_a_key(stack: Stack) -> None:
    shown = json.dumps(stack.translated["Outputs"])
    assert not re.search(r"sk-|ak_|SecretString|\.Value", shown)

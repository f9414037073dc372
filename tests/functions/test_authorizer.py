"""The authorizer hands the caller's key to API Gateway, which alone knows the keys."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from functions.authorizer.handler import handler
from llm_relay.api import authorizer
from tests.support.ledger_accounts import CLIENT, dynamodb_at, make_table

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT = json.loads(Path("events/authorizer/client_key.json").read_text())
SECRET = "x" * 40


def answer_to(token: str) -> dict[str, Any]:
    return handler(EVENT | {"authorizationToken": f"Bearer {token}"}, None)


def test_the_bearer_token_becomes_the_usage_plan_key() -> None:
    answer = answer_to("sk-relay-x")
    assert (answer["usageIdentifierKey"], answer["context"]) == ("sk-relay-x", {})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "sk-relay-x"])
def test_anything_else_is_unauthorized(header: str) -> None:
    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(EVENT | {"authorizationToken": header}, None)


def test_the_cached_policy_allows_every_route_of_the_stage() -> None:
    arn = "arn:aws:execute-api:eu-west-1:123456789012:api/relay/POST/v1/chat/completions"
    (statement,) = handler(EVENT | {"methodArn": arn}, None)["policyDocument"]["Statement"]
    resource = "arn:aws:execute-api:eu-west-1:123456789012:api/relay/*/*"
    assert (statement["Effect"], statement["Resource"]) == ("Allow", resource)


def test_the_principal_identifies_the_caller_without_its_key() -> None:
    x, y = (answer_to(token)["principalId"] for token in ("sk-relay-x", "sk-relay-y"))
    assert x != y
    assert "sk-relay" not in x + y


@pytest.fixture
def clients(environment: pytest.MonkeyPatch, aws: str) -> Iterator[Any]:
    """The table of clients, with one client in it."""
    dynamodb = dynamodb_at(aws)
    name = make_table(dynamodb)
    now = int(time.time())
    serials = {
        "0001": {"M": {"key_id": {"S": "k1"}}},
        "0002": {"M": {"key_id": {"S": "k2"}, "dies_at": {"N": str(now + 60)}}},
        "0003": {"M": {"key_id": {"S": "k3"}, "dies_at": {"N": str(now - 1)}}},
    }
    profile: Any = {
        "pk": {"S": f"client#{CLIENT}"},
        "sk": {"S": "profile"},
        "keys": {"M": serials},
        "budget_nanos": {"N": "5000000000"},
        "budget_per": {"S": "month"},
        "models": {"L": [{"S": "a"}, {"S": "b"}]},
    }
    dynamodb.put_item(TableName=name, Item=profile)
    environment.setenv("CLIENTS_TABLE", name)
    authorizer._dynamodb.cache_clear()
    yield dynamodb
    authorizer._dynamodb.cache_clear()
    dynamodb.close()


@pytest.mark.usefixtures("clients")
@pytest.mark.parametrize("serial", ["0001", "0002"])
def test_a_client_s_limits_are_in_the_authorizer_context(serial: str) -> None:
    known = {"client": CLIENT, "budget_nanos": "5000000000", "budget_per": "month", "models": "a,b"}
    assert answer_to(f"sk-relay-{CLIENT}-{serial}-{SECRET}")["context"] == known


@pytest.mark.usefixtures("clients")
@pytest.mark.parametrize("who", [f"{CLIENT}-0003", f"{CLIENT}-0004", "ffffffffffff-0001"])
def test_an_expired_or_unknown_key_of_a_client_is_unauthorized(who: str) -> None:
    with pytest.raises(Exception, match="^Unauthorized$"):
        answer_to(f"sk-relay-{who}-{SECRET}")

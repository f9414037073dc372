"""The authorizer hands the caller's key to API Gateway, which alone knows the keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from functions.authorizer.handler import handler

EVENT = json.loads(Path("events/authorizer/client_key.json").read_text())


def test_the_bearer_token_becomes_the_usage_plan_key() -> None:
    answer = handler(EVENT | {"authorizationToken": "Bearer sk-relay-x"}, None)
    assert answer["usageIdentifierKey"] == "sk-relay-x"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "sk-relay-x"])
def test_anything_else_is_unauthorized(header: str) -> None:
    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(EVENT | {"authorizationToken": header}, None)


def test_the_policy_serves_every_route_of_the_stage_as_it_is_cached_for_all() -> None:
    arn = "arn:aws:execute-api:eu-west-1:123456789012:api/relay/POST/v1/chat/completions"
    (statement,) = handler(EVENT | {"methodArn": arn}, None)["policyDocument"]["Statement"]
    resource = "arn:aws:execute-api:eu-west-1:123456789012:api/relay/*/*"
    assert (statement["Effect"], statement["Resource"]) == ("Allow", resource)


def test_the_principal_tells_callers_apart_and_not_their_keys() -> None:
    tokens = ["Bearer sk-relay-x", "Bearer sk-relay-y"]
    x, y = (handler(EVENT | {"authorizationToken": t}, None)["principalId"] for t in tokens)
    assert x != y
    assert "sk-relay" not in x + y

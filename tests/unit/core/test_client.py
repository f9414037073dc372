"""Who calls, as the authorizer tells it."""

from __future__ import annotations

import pytest

from llm_relay.api.api_gateway import client_of, parse_event
from llm_relay.core.client import Client


def caller(authorizer: dict[str, str] | None) -> Client:
    context = {"identity": {"apiKeyId": "key-1"}, "authorizer": authorizer}
    return client_of(parse_event({"requestContext": context}))


@pytest.mark.parametrize("authorizer", [None, {}, {"principalId": "p", "integrationLatency": "1"}])
def test_a_key_without_a_client_has_no_limits(authorizer: dict[str, str] | None) -> None:
    assert caller(authorizer) == Client(id="", key_id="key-1")


def test_a_client_is_read_from_the_authorizer_context() -> None:
    given = {
        "client": "0123456789ab",
        "budget_nanos": "5000000000",
        "budget_per": "month",
        "models": "a,org/b",
        "max_output_tokens": "100",
    }
    assert caller(given) == Client(
        id="0123456789ab",
        key_id="key-1",
        budget_nanos=5 * 10**9,
        budget_per="month",
        models=frozenset({"a", "org/b"}),
        max_output_tokens=100,
    )


def test_a_budget_of_zero_is_a_budget() -> None:
    assert caller({"client": "c", "budget_nanos": "0"}).budget_nanos == 0


@pytest.mark.parametrize("name", ["budget_nanos", "max_output_tokens"])
def test_an_unreadable_limit_is_not_treated_as_no_limit(name: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        caller({"client": "c", name: "much"})

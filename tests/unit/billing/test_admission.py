"""What a client may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.billing.admission import Admission, admit
from llm_relay.core.client import Client
from llm_relay.core.errors import BadRequest, ModelNotAllowed, ModelUnpriced
from llm_relay.providers.dialects.dialect import ABLITERATION, OPENAI

CHAT, RESPONSES = "/chat/completions", "/responses"
PRICING = {"prompt": "0", "completion": "0.000001"}
ENTRY: dict[str, Any] = {"pricing": PRICING, "context_length": 9_000, "max_output_length": 5_000}
BODY: dict[str, Any] = {"model": "a"}


def admitted(body: dict[str, Any], path: str = CHAT, entry: Any = None, **may: Any) -> Admission:
    return admit(Client(id="c", key_id="k", **may), path, body, entry, OPENAI)


def worst(body: dict[str, Any], path: str = CHAT, entry: Any = ENTRY) -> int:
    return admitted(body, path, entry, budget_nanos=1).max_cost_nanos


def test_a_client_without_limits_is_not_restricted() -> None:
    admission = admitted(BODY)
    assert admission.body is BODY
    assert admission.max_cost_nanos == 0


def test_a_refusal_of_another_model_names_the_client_s_models() -> None:
    with pytest.raises(ModelNotAllowed, match="b, c"):
        admitted(BODY, models=frozenset({"c", "b"}))
    assert admitted(BODY, models=frozenset({"a"})).body is BODY


@pytest.mark.parametrize(
    ("path", "name"),
    [(CHAT, "max_tokens"), (CHAT, "max_completion_tokens"), (RESPONSES, "max_output_tokens")],
)
def test_output_limit_above_the_clients_maximum_is_rejected(path: str, name: str) -> None:
    with pytest.raises(BadRequest, match="at most 10") as refusal:
        admitted(BODY | {name: 11}, path, max_output_tokens=10)
    assert refusal.value.param == name
    within = BODY | {name: 10}
    assert admitted(within, path, max_output_tokens=10).body is within


@pytest.mark.parametrize(("path", "name"), [(CHAT, "max_tokens"), (RESPONSES, "max_output_tokens")])
@pytest.mark.parametrize(("entry", "cap"), [(None, 10), (ENTRY, 10), ({"max_output_length": 4}, 4)])
def test_the_cap_is_set_where_none_was_requested(
    path: str, name: str, entry: Any, cap: int
) -> None:
    asked = BODY | {name: None}
    assert admitted(asked, path, entry, max_output_tokens=10).body == BODY | {name: cap}
    assert asked[name] is None


@pytest.mark.parametrize(
    ("body", "path", "tokens"),
    [
        ({}, CHAT, 5_000),
        ({"max_tokens": 7}, CHAT, 7),
        ({"max_completion_tokens": 9, "max_tokens": 7}, CHAT, 9),
        ({"max_tokens": 7, "n": 3}, CHAT, 21),
        ({"max_tokens": 7, "n": None}, CHAT, 7),
        ({"max_output_tokens": 8}, RESPONSES, 8),
        ({"max_output_tokens": 8, "n": -3}, RESPONSES, 8),
    ],
)
def test_the_maximum_cost_assumes_every_requested_token(
    body: dict[str, Any], path: str, tokens: int
) -> None:
    assert worst(BODY | body, path) == tokens * 1_000


def test_a_model_without_an_output_limit_requires_one() -> None:
    with pytest.raises(BadRequest) as refusal:
        worst(BODY, entry={"pricing": PRICING})
    assert refusal.value.param == "max_tokens"
    assert worst(BODY, entry={"pricing": PRICING, "context_length": 2}) == 2_000


def test_the_maximum_cost_uses_what_a_provider_charges_above_its_list() -> None:
    limited = Client(id="c", key_id="k", budget_nanos=1)
    entry = ENTRY | {"context_length": 100}
    worst = admit(limited, CHAT, BODY | {"max_tokens": 100}, entry, ABLITERATION).max_cost_nanos
    assert worst == 200 * 5_000


def test_a_model_without_a_price_requires_a_client_without_a_budget() -> None:
    with pytest.raises(ModelUnpriced):
        worst(BODY, entry=None)
    assert admitted(BODY).max_cost_nanos == 0

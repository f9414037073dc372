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


def test_a_client_without_limits_sends_what_it_likes() -> None:
    admission = admitted(BODY)
    assert admission.body is BODY
    assert admission.max_cost_nanos == 0


def test_a_client_s_models_are_named_to_one_who_asks_for_another() -> None:
    with pytest.raises(ModelNotAllowed, match="b, c"):
        admitted(BODY, models=frozenset({"c", "b"}))
    assert admitted(BODY, models=frozenset({"a"})).body is BODY


@pytest.mark.parametrize(
    ("path", "name"),
    [(CHAT, "max_tokens"), (CHAT, "max_completion_tokens"), (RESPONSES, "max_output_tokens")],
)
def test_a_wish_above_the_client_s_cap_is_refused_by_its_name(path: str, name: str) -> None:
    with pytest.raises(BadRequest, match="at most 10") as refusal:
        admitted(BODY | {name: 11}, path, max_output_tokens=10)
    assert refusal.value.param == name
    within = BODY | {name: 10}
    assert admitted(within, path, max_output_tokens=10).body is within


@pytest.mark.parametrize(("path", "name"), [(CHAT, "max_tokens"), (RESPONSES, "max_output_tokens")])
@pytest.mark.parametrize(("entry", "cap"), [(None, 10), (ENTRY, 10), ({"max_output_length": 4}, 4)])
def test_the_cap_is_put_in_where_none_was_asked_for(
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
def test_the_worst_case_is_every_token_that_was_asked_for(
    body: dict[str, Any], path: str, tokens: int
) -> None:
    assert worst(BODY | body, path) == tokens * 1_000


def test_a_model_whose_answers_have_no_known_end_needs_one() -> None:
    with pytest.raises(BadRequest) as refusal:
        worst(BODY, entry={"pricing": PRICING})
    assert refusal.value.param == "max_tokens"
    assert worst(BODY, entry={"pricing": PRICING, "context_length": 2}) == 2_000


def test_a_provider_that_charges_more_than_it_lists_is_reckoned_with() -> None:
    limited = Client(id="c", key_id="k", budget_nanos=1)
    entry = ENTRY | {"context_length": 100}
    worst = admit(limited, CHAT, BODY | {"max_tokens": 100}, entry, ABLITERATION).max_cost_nanos
    assert worst == 200 * 5_000


def test_a_model_without_a_price_is_for_clients_without_a_budget() -> None:
    with pytest.raises(ModelUnpriced):
        worst(BODY, entry=None)
    assert admitted(BODY).max_cost_nanos == 0

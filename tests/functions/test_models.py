"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.models.handler import handler
from tests.functions.conftest import Answered, Context, proxy_event, taken
from tests.support.scripted_provider import whole

if TYPE_CHECKING:
    from tests.support.scripted_provider import ScriptedProvider

LISTING = {"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "org/b", "x": 1}]}


def get(model: str | None = None) -> Answered:
    parameters = {"pathParameters": {"id": model}} if model else {}
    resource = "/v1/models/{id+}" if model else "/v1/models"
    event = proxy_event("GET", resource, None, **parameters)
    return taken(handler(event, Context(20, time.monotonic())))


def test_the_provider_s_list_passes_unchanged(provider: ScriptedProvider) -> None:
    provider.scripts = [whole(200, LISTING)]
    assert get().json() == LISTING
    assert provider.requests[0].path == "/v1/models"


@pytest.mark.parametrize("name", ["org/b", "org%2Fb"])
def test_one_model_is_taken_from_the_list(provider: ScriptedProvider, name: str) -> None:
    provider.scripts = [whole(200, LISTING)]
    assert get(name).json() == {"id": "org/b", "x": 1}


def test_the_list_is_cached(provider: ScriptedProvider) -> None:
    provider.scripts = [whole(200, LISTING)]
    assert [get().status, get("a").status, get().status] == [200, 200, 200]
    assert len(provider.requests) == 1


def test_an_unlisted_model_is_a_404_that_says_where_to_look(provider: ScriptedProvider) -> None:
    provider.scripts = [whole(200, LISTING)]
    answer = get("c")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "/v1/models" in answer.error["message"]


@pytest.mark.parametrize("body", [{"data": {}}, {}, [], b"x"])
def test_an_invalid_list_is_a_502_and_not_cached(provider: ScriptedProvider, body: Any) -> None:
    provider.scripts = [whole(200, body), whole(200, LISTING)]
    assert [get().status, get().status] == [502, 200]

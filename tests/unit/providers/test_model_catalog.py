"""The provider's list of models: how long it is kept, and what happens while there is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_relay.core.deadline import Deadline
from llm_relay.core.errors import UpstreamFailed
from llm_relay.providers.client import AttemptTracker
from llm_relay.providers.provider import ModelCatalog


class Clock:
    """A clock that the test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class ListingProvider:
    """Lists its models while it is up."""

    def __init__(self, *models: str) -> None:
        self.models = models
        self.is_up = True
        self.calls = 0

    def call(self, *_: Any, **__: Any) -> ListingProvider:
        self.calls += 1
        if not self.is_up:
            raise UpstreamFailed("It is down.")
        return self

    def read_all(self, _deadline: Deadline) -> bytes:
        return json.dumps({"data": [{"id": model} for model in self.models]}).encode()

    def close(self) -> None:
        pass


class Asked:
    """A catalog, the provider behind it and the time it goes by."""

    def __init__(self, *models: str, is_up: bool = True) -> None:
        self.provider = ListingProvider(*models)
        self.provider.is_up = is_up
        self.clock = Clock()
        provider: Any = self.provider
        self.catalog = ModelCatalog(provider, self.clock)
        self.deadline = Deadline.after(60)

    def after(self, seconds: float) -> Asked:
        self.clock.seconds += seconds
        return self

    def entry(self, model: str) -> Any:
        return self.catalog.entry(model, self.deadline)

    def ids(self) -> list[str]:
        return [
            each["id"] for each in self.catalog.listing(self.deadline, AttemptTracker())["data"]
        ]


def test_a_list_is_requested_once_a_minute() -> None:
    asked = Asked("m")
    assert [asked.after(seconds).ids() for seconds in (0, 59, 2)] == [["m"]] * 3
    assert asked.provider.calls == 2


def test_an_empty_list_is_a_list() -> None:
    asked = Asked()
    assert [asked.ids(), asked.ids()] == [[], []]
    assert asked.provider.calls == 1


def test_model_limits_and_prices_are_requested_every_ten_minutes() -> None:
    asked = Asked("m")
    assert [asked.after(seconds).entry("m") for seconds in (0, 590, 20)] == [{"id": "m"}] * 3
    assert asked.provider.calls == 2


def test_while_the_provider_is_down_cached_entries_are_used_and_the_list_is_not() -> None:
    asked = Asked("m")
    assert asked.entry("m")
    asked.provider.is_up = False
    assert asked.after(700).entry("m") == {"id": "m"}
    with pytest.raises(UpstreamFailed):
        asked.ids()


def test_a_provider_without_a_list_is_retried_after_a_minute() -> None:
    asked = Asked("m", is_up=False)
    assert [asked.entry("m"), asked.after(30).entry("m")] == [None, None]
    assert asked.provider.calls == 1
    asked.provider.is_up = True
    assert asked.after(31).entry("m") == {"id": "m"}


def test_a_new_model_is_known_within_a_minute() -> None:
    asked = Asked("m")
    assert asked.entry("new") is None
    asked.provider.models = ("m", "new")
    assert asked.after(30).entry("new") is None
    assert asked.provider.calls == 1
    assert asked.after(31).entry("new") == {"id": "new"}

"""What a model cannot do, by its entry in the provider's list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.validation import model_limits
from tests.unit.validation.bodies import (
    CHAT,
    JSON,
    PIXEL,
    RESPONSES,
    refusal,
    refused_properly,
    spoilt,
)

LARGE: dict[str, Any] = {
    "id": "abliterated-model-large",
    "access": {"available": True, "locked": False},
    "input_modalities": ["text"],
    "sampling_limits": {
        "temperature": {"minimum": 0, "maximum": 1, "maximum_inclusive": True},
        "top_p": {"minimum": 0.01, "maximum": 1, "minimum_inclusive": True},
    },
}
SEEING: dict[str, Any] = {
    "access": {"available": True, "locked": False},
    "input_modalities": ["text", "image"],
    "sampling_limits": {
        "temperature": {"minimum": 0, "maximum": 2},
        "top_p": {"minimum": 0, "minimum_inclusive": False, "maximum": 1},
    },
}
PICTURE: dict[str, Any] = {"type": "image_url", "image_url": {"url": PIXEL}}
PICTURES: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, PICTURE]}],
}


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"temperature": 1.1}, "temperature", "at most 1 "),
        ({"temperature": 10**400}, "temperature", "at most 1 "),
        ({"temperature": -1}, "temperature", "at least 0 "),
        ({"top_p": 0}, "top_p", "at least 0.01 "),
        (PICTURES, "messages[0].content[1]", "and 'm' takes none"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0]",
            "this model takes none",
        ),
    ],
)
def test_requests_beyond_the_model_s_limits_are_refused(
    body: dict[str, Any], param: str, said: str
) -> None:
    error = refusal(lambda body: model_limits.check(body, LARGE), body)
    assert error.param == param
    assert said in error.message


def test_a_limit_may_exclude_its_own_value() -> None:
    error = refusal(lambda body: model_limits.check(body, SEEING), {"top_p": 0})
    assert "above 0 " in error.message


@pytest.mark.parametrize("access", [{"locked": True}, {"available": False}])
def test_a_locked_model_is_refused(access: dict[str, Any]) -> None:
    error = refusal(lambda body: model_limits.check(body, SEEING | {"access": access}), PICTURES)
    assert error.param == "model"


@pytest.mark.parametrize("body", [PICTURES, {"temperature": 2, "top_p": 1}, {"temperature": None}])
def test_requests_within_the_model_s_limits_pass(body: dict[str, Any]) -> None:
    model_limits.check(body, SEEING)


@pytest.mark.parametrize(
    "listed",
    [
        None,
        {},
        {"access": None, "sampling_limits": None, "input_modalities": None},
        {"access": "locked", "sampling_limits": [], "input_modalities": "text"},
        {"access": {"locked": "no", "available": None}, "input_modalities": []},
        {"sampling_limits": {"temperature": 1}, "input_modalities": ["text", 7]},
        {"sampling_limits": {"temperature": {"maximum": "1", "minimum": True}}},
        {"sampling_limits": {"temperature": {"maximum": -(10**400), "minimum": float("inf")}}},
    ],
)
def test_an_unspecified_limit_refuses_nothing(listed: Any) -> None:
    model_limits.check(PICTURES | {"temperature": 2}, listed)


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ({}, False),
        ({"temperature": 1, "messages": [{"role": "user", "content": "Hello"}]}, False),
        ({"temperature": None, "input": "Hello"}, False),
        ({"temperature": True}, False),
        ({"temperature": 1.5}, True),
        (PICTURES, True),
        (RESPONSES, True),
    ],
)
def test_the_model_list_is_read_only_when_needed(body: dict[str, Any], needed: bool) -> None:
    assert model_limits.applies_to(body) is needed


@given(
    body=spoilt(CHAT) | spoilt(RESPONSES),
    listed=st.none() | spoilt(LARGE) | spoilt(SEEING) | st.dictionaries(st.text(), JSON),
)
def test_no_list_and_no_body_break_the_check(body: dict[str, Any], listed: Any) -> None:
    model_limits.applies_to(body)
    refused_properly(lambda body: model_limits.check(body, listed), body, {"model"})

"""The body as JSON, and the words of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.core.errors import BadRequest
from llm_relay.validation import fields


def path_and_message(path: str, why: str = "must be there.") -> tuple[str | None, str]:
    with pytest.raises(BadRequest) as caught:
        fields.refuse(path, why)
    return caught.value.param, caught.value.message


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"null", b'{"a":NaN}', b"[" * 100_000])
def test_a_body_that_is_not_a_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        fields.body_object(text)
    assert caught.value.param is None


def test_a_json_object_is_returned() -> None:
    assert fields.body_object(b'{"a": [1]}') == {"a": [1]}


def test_a_refusal_names_its_path() -> None:
    assert path_and_message("tools[0].name") == ("tools[0].name", "'tools[0].name' must be there.")


def test_a_long_path_is_complete_in_param_and_truncated_in_the_message() -> None:
    path = "a" + ".b" * 500
    param, message = path_and_message(path)
    assert param == path
    assert len(message) < 200


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("city", "at.city"),
        ("$ref", "at.$ref"),
        ("my city", "at['my city']"),
        ("a.b", "at['a.b']"),
        ("", "at['']"),
        ("\ud800", r"at['\ud800']"),
        ("n\n", r"at['n\n']"),
    ],
)
def test_a_path_quotes_unusual_names_in_brackets(name: str, path: str) -> None:
    assert fields.path_to("at", name) == path


@pytest.mark.parametrize("text", ["x" * 41, "x" * 1_000_000, "\x00" * 40, "\U000e0000" * 40])
def test_quoted_caller_text_is_truncated(text: str) -> None:
    assert len(fields.quote(text)) <= 42


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan"), True, "1", None])
def test_only_json_numbers_are_numbers(value: Any) -> None:
    assert not fields.is_number(value)


@pytest.mark.parametrize("value", [0, -1, 0.5, 10**400])
def test_a_number_may_be_of_any_size(value: float) -> None:
    assert fields.is_number(value)

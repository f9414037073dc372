"""Each refusal of a provider comes with what to do about it."""

from __future__ import annotations

import pytest

from llm_relay.advice import advised


@pytest.mark.parametrize(
    ("status", "message", "word"),
    [
        (400, "Unsupported model x", "GET /v1/models"),
        (400, "Invalid tool schema", "JSON Schema"),
        (400, "This does not accept image inputs", "https or data URLs"),
        (400, "messages must be an array", "{role, content}"),
        (402, "No credits", "top up"),
        (403, "Forbidden", "project"),
        (404, "Not found", "/v1"),
        (422, "Unprocessable", "replayed"),
        (429, "Slow down", "Retry-After"),
        (500, "Oops", "not your request"),
        (503, "Oops!", "not your request"),
    ],
)
def test_the_provider_s_message_is_kept_and_advice_follows(
    status: int, message: str, word: str
) -> None:
    text = advised(status, message)
    assert text.startswith(message)
    assert word in text.removeprefix(message)


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    assert advised(400, "Temperature too high") == "Temperature too high"
    assert advised(418, "Teapot") == "Teapot"


def test_advice_is_not_given_twice() -> None:
    once = advised(429, "Slow down")
    assert advised(429, once) == once

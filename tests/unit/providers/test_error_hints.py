"""Each refusal of a provider comes with what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from llm_relay.providers.provider_error import with_hint


@pytest.mark.parametrize(
    ("status", "message", "word"),
    [
        (400, "Unsupported model 'x'", "GET /v1/models"),
        (400, "The model x does not exist", "GET /v1/models"),
        (400, "Invalid tool schema", "JSON Schema"),
        (400, "This model does not accept image inputs", "takes images"),
        (400, "messages must be an array", "{role, content}"),
        (400, "This model's maximum context length is 9 tokens, your messages have 10", "shorter"),
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
    text = with_hint(status, message)
    assert text.startswith(message)
    assert word in text.removeprefix(message)


@pytest.mark.parametrize(
    ("code", "message", "word"),
    [
        ("moderation_blocked", "Your message was blocked by moderation", "will not help"),
        ("media_images_not_supported", "No.", "takes images"),
        ("video_anon_blocked", "Use a message", "videos"),
        ("model_not_found", "Invalid tool schema", "GET /v1/models"),
        ("context_length_exceeded", "Too long", "shorter"),
    ],
)
def test_a_hint_follows_the_code_rather_than_the_message(
    code: str, message: str, word: str
) -> None:
    assert word in with_hint(400, message, code).removeprefix(message)


@pytest.mark.parametrize("code", [None, 400, ["x"], "some_code"])
def test_errors_without_a_hint_stay_unchanged(code: Any) -> None:
    for status, message in (
        (400, "Temperature too high for model abliterated-model-large"),
        (400, "tools and web_search_options cannot be used together"),
        (400, "Your message was blocked by moderation"),
        (400, "Video is not supported here; use a message"),
        (418, "Teapot"),
    ):
        assert with_hint(status, message, code) == message


def test_advice_is_not_given_twice() -> None:
    once = with_hint(429, "Slow down")
    assert with_hint(429, once) == once

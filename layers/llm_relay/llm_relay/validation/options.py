"""Checks of the settings of a request: numbers, flags and labels."""

from __future__ import annotations

from llm_relay.validation.fields import (
    MOST_TOKENS,
    Fields,
    is_number,
    may_be_flag,
    may_be_number,
    may_be_object,
    may_be_string,
    may_be_whole,
    path_to,
    refuse,
)

_MAX_TOP_LOGPROBS = 20
_MAX_CHOICES = 128


def check_chat_limits(body: Fields) -> None:
    """Refuse what /v1/chat/completions cannot be streamed or billed by."""
    may_be_flag(body, "stream")
    for name in ("max_tokens", "max_completion_tokens"):
        may_be_whole(body, name, 1, MOST_TOKENS)
    may_be_whole(body, "n", 1, _MAX_CHOICES)


def check_responses_limits(body: Fields) -> None:
    """Refuse what /v1/responses cannot be streamed or billed by."""
    may_be_flag(body, "stream")
    may_be_whole(body, "max_output_tokens", 1, MOST_TOKENS)


def check_shared_options(body: Fields) -> None:
    """Refuse settings that neither endpoint can take."""
    may_be_number(body, "temperature", 0, 2)
    may_be_number(body, "top_p", 0, 1)
    may_be_whole(body, "top_logprobs", 0, _MAX_TOP_LOGPROBS)
    may_be_string(body, "user")
    _check_stream_options(body)
    for name in may_be_object(body, "metadata", '{"team": "blue"}') or {}:
        may_be_string(body["metadata"], name, "metadata")


def check_chat_options(body: Fields) -> None:
    """Refuse settings that /v1/chat/completions cannot take."""
    check_shared_options(body)
    may_be_number(body, "presence_penalty", -2, 2)
    may_be_number(body, "frequency_penalty", -2, 2)
    _check_seed(body)
    _check_stop(body)
    _check_log_probabilities(body)
    for token, bias in (may_be_object(body, "logit_bias", '{"50256": -100}') or {}).items():
        if not is_number(bias):
            refuse(path_to("logit_bias", token), "must be a number.")


def _check_stream_options(body: Fields) -> None:
    options = may_be_object(body, "stream_options", '{"include_usage": true}')
    if options is not None and body.get("stream") is not True:
        refuse("stream_options", 'goes with "stream": true only. Send that, or leave it out.')
    may_be_flag(options or {}, "include_usage", "stream_options")


def _check_seed(body: Fields) -> None:
    if body.get("seed") is not None and type(body["seed"]) is not int:
        refuse("seed", "must be a whole number.")


def _check_stop(body: Fields) -> None:
    stop = body.get("stop")
    stops = stop if isinstance(stop, list) else [stop]
    if stop is not None and not all(isinstance(text, str) for text in stops):
        refuse("stop", "must be a string or a list of strings.")


def _check_log_probabilities(body: Fields) -> None:
    may_be_flag(body, "logprobs")
    if body.get("top_logprobs") and body.get("logprobs") is not True:
        refuse("top_logprobs", 'goes with "logprobs": true only. Send that too.')

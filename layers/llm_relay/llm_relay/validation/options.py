"""Checks of a request's settings: numbers, flags, labels, and the format of the answer."""

from __future__ import annotations

from typing import Any

from llm_relay.validation import rules
from llm_relay.validation.fields import Fields, is_number, path_to, refuse
from llm_relay.validation.json_schema import check_schema
from llm_relay.validation.tools import check_name


def _is_stop(value: Any) -> bool:
    stops = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(each, str) for each in stops)


_SHARED = {
    "temperature": rules.number(0, 2),
    "top_p": rules.number(0, 1),
    "top_logprobs": rules.integer(0, 20),
    "user": rules.OPTIONAL_STRING,
    "stream_options": rules.optional(rules.object_with('{"include_usage": true}')),
}
_CHAT = {
    "presence_penalty": rules.number(-2, 2),
    "frequency_penalty": rules.number(-2, 2),
    "seed": rules.rule(
        lambda value: value is None or type(value) is int, "must be a whole number."
    ),
    "stop": rules.rule(_is_stop, "must be a string or a list of strings."),
    "logprobs": rules.OPTIONAL_BOOLEAN,
}
# The last three are extensions of some servers; anything else is a typing error.
_FORMATS = {"text", "json_object", "json_schema", "structural_tag", "grammar", "python"}
_TYPE = rules.rule(
    lambda value: isinstance(value, str) and value in _FORMATS,
    'must be "text", "json_object" or "json_schema".',
)
_FORMAT = rules.optional(rules.object_with('{"type": "json_object"}', type=_TYPE))
_NAMED_SCHEMA = {
    "description": rules.OPTIONAL_STRING,
    "strict": rules.OPTIONAL_BOOLEAN,
    "schema": rules.object_with('{"type": "object"}'),
}


def check_shared_options(body: Fields) -> None:
    """Refuse settings that neither endpoint can take."""
    rules.check(body, _SHARED)
    if (options := body.get("stream_options")) is not None:
        if body.get("stream") is not True:
            refuse("stream_options", 'goes with "stream": true only. Send that, or leave it out.')
        rules.check(options, {"include_usage": rules.OPTIONAL_BOOLEAN}, "stream_options")
    _check_values(body, "metadata", '{"team": "blue"}', rules.OPTIONAL_STRING)


def _check_values(body: Fields, name: str, example: str, each: rules.Rule) -> None:
    rules.check(body, {name: rules.optional(rules.object_with(example))})
    for key, value in (body.get(name) or {}).items():
        each(value, path_to(name, key))


def check_chat_options(body: Fields) -> None:
    """Refuse settings that /v1/chat/completions cannot take."""
    check_shared_options(body)
    rules.check(body, _CHAT)
    if body.get("top_logprobs") and body.get("logprobs") is not True:
        refuse("top_logprobs", 'goes with "logprobs": true only. Send that too.')
    number = rules.rule(is_number, "must be a number.")
    _check_values(body, "logit_bias", '{"50256": -100}', number)


def check_response_format(body: Fields) -> None:
    """Refuse an invalid `response_format` of /v1/chat/completions."""
    rules.check(body, {"response_format": _FORMAT})
    form = body.get("response_format")
    if form and form["type"] == "json_schema":
        example = '{"name": "city", "schema": {"type": "object"}}'
        rules.check(form, {"json_schema": rules.object_with(example)}, "response_format")
        _check_named_schema(form["json_schema"], "response_format.json_schema")


def check_text_format(body: Fields) -> None:
    """Refuse an invalid `text.format` of /v1/responses."""
    text = rules.object_with('{"format": {"type": "text"}}', format=_FORMAT)
    rules.check(body, {"text": rules.optional(text)})
    form = (body.get("text") or {}).get("format")
    if form and form["type"] == "json_schema":
        _check_named_schema(form, "text.format")


def _check_named_schema(holder: Fields, path: str) -> None:
    check_name(holder, path)
    rules.check(holder, _NAMED_SCHEMA, path)
    check_schema(holder["schema"], f"{path}.schema")

"""What is checked of POST /v1/responses before the provider is called."""

from __future__ import annotations

from typing import Any

from llm_relay.validation.content import RESPONSES_PARTS, check_content, check_message
from llm_relay.validation.fields import (
    Fields,
    may_be_list_of_objects,
    needs_string,
    needs_text,
    refuse,
)
from llm_relay.validation.formats import check_text_format
from llm_relay.validation.images import check_images
from llm_relay.validation.options import check_responses_limits, check_shared_options
from llm_relay.validation.tools import check_responses_tools, check_tool_schemas

_INPUT_ELSEWHERE = ("instructions", "prompt", "previous_response_id", "conversation")


def check_basics(body: Fields) -> None:
    """Check what billing and streaming read; BadRequest for a body without it."""
    needs_text(body, "model", "GET /v1/models lists what there is.")
    given = body.get("input")
    if not isinstance(given, str | list | None):
        example = '{"role": "user", "content": "Hello"}'
        refuse("input", f"must be a string, or a list of items such as {example}.")
    if not given and not any(body.get(name) for name in _INPUT_ELSEWHERE):
        refuse("input", "is missing. Send a string or a list of items.")
    check_responses_limits(body)


def check_details(body: Fields, *, strict: bool) -> None:
    """Check images and the schemas of tools, and if `strict` every known field."""
    if strict:
        _check_items(body)
        if not isinstance(body.get("instructions"), str | list | None):
            refuse("instructions", "must be a string.")
        check_responses_tools(body)
        check_text_format(body)
        check_shared_options(body)
    check_images(body)
    check_tool_schemas(body)


def _check_items(body: Fields) -> None:
    if isinstance(body.get("input"), list):
        for path, item in may_be_list_of_objects(body, "input"):
            _check_item(item, path)


def _check_item(item: Fields, path: str) -> None:
    kind = item.get("type")
    if kind is not None:
        needs_text(item, "type", "Send 'message', or leave it out.", path)
    # Without a type, an item with an id alone refers to an earlier one.
    if kind == "message" or (kind is None and (item.get("role") is not None or "id" not in item)):
        check_message(item, path, RESPONSES_PARTS)
    elif kind == "function_call":
        _check_call(item, path)
    elif kind == "function_call_output":
        needs_text(item, "call_id", "Send that of the call which this answers.", path)
        _check_output(item.get("output"), f"{path}.output")


def _check_call(item: Fields, path: str) -> None:
    needs_text(item, "call_id", "The function's output refers to it.", path)
    needs_text(item, "name", within=path)
    needs_string(item, "arguments", "Send them as JSON text, not as an object.", path)


def _check_output(output: Any, path: str) -> None:
    if output != []:
        check_content(output, path, RESPONSES_PARTS)

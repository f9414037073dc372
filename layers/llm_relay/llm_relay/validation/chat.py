"""What is checked of POST /v1/chat/completions before the provider is called."""

from __future__ import annotations

from typing import Any

from llm_relay.validation.content import CHAT_PARTS, check_message
from llm_relay.validation.fields import (
    Fields,
    may_be_list_of_objects,
    may_be_string,
    needs_object,
    needs_string,
    needs_text,
    refuse,
)
from llm_relay.validation.formats import check_response_format
from llm_relay.validation.images import check_images
from llm_relay.validation.options import check_chat_limits, check_chat_options
from llm_relay.validation.tools import check_chat_tools, check_tool_schemas

_CALL_EXAMPLE = '{"name": "get_weather", "arguments": "{}"}'


def check_basics(body: Fields) -> None:
    """Check what billing and streaming read; BadRequest for a body without it."""
    needs_text(body, "model", "GET /v1/models lists what there is.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        example = '{"role": "user", "content": "Hello"}'
        refuse("messages", f"must be a non-empty list of objects such as {example}.")
    check_chat_limits(body)


def check_details(body: Fields, *, strict: bool) -> None:
    """Check images and the schemas of tools, and if `strict` every known field."""
    if strict:
        _check_messages(body["messages"])
        check_chat_tools(body)
        check_response_format(body)
        check_chat_options(body)
    check_images(body)
    check_tool_schemas(body)


def _check_messages(messages: list[Any]) -> None:
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(path, "must be an object with 'role' and 'content'.")
        _check_message(message, path)


def _check_message(message: Fields, path: str) -> None:
    check_message(message, path, CHAT_PARTS)
    may_be_string(message, "name", path)
    if message["role"] == "tool":
        advice = "Send the 'id' of the tool call that this message answers."
        needs_text(message, "tool_call_id", advice, path)
    if message["role"] == "assistant":
        _check_calls(message, path)


def _check_calls(message: Fields, path: str) -> None:
    for at, call in may_be_list_of_objects(message, "tool_calls", path):
        needs_text(call, "id", "The tool's answer refers to it.", at)
        # Calls of custom tools have another shape.
        if call.get("type") in (None, "function"):
            _check_call(call, "function", at)
    if message.get("function_call") is not None:
        _check_call(message, "function_call", path)


def _check_call(fields: Fields, name: str, path: str) -> None:
    call = needs_object(fields, name, _CALL_EXAMPLE, path)
    needs_text(call, "name", within=f"{path}.{name}")
    advice = "Send the arguments as JSON text, not as an object."
    needs_string(call, "arguments", advice, f"{path}.{name}")

"""Checks of the tools that a request offers, and of how it wants them chosen."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from llm_relay.validation.fields import (
    Fields,
    may_be_flag,
    may_be_list_of_objects,
    may_be_object,
    may_be_string,
    needs_object,
    needs_text,
    refuse,
    short,
)
from llm_relay.validation.json_schema import check_schema

if TYPE_CHECKING:
    Located = tuple[str, Fields]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMES_SHOWN_CHARACTERS = 120
_FUNCTION_EXAMPLE = '{"name": "get_weather", "parameters": {"type": "object"}}'
_FLAT = "The Responses API takes it beside 'type', not within 'function'."
_CHOICES = '"none", "auto", "required" or an object that names one of the tools'


def check_chat_tools(body: Fields) -> None:
    """Refuse tools and choices that /v1/chat/completions cannot take."""
    tools = may_be_list_of_objects(body, "tools")
    functions = [(f"{path}.function", _nested(tool, path)) for path, tool in _functions(tools)]
    names = _check_functions(functions)
    may_be_flag(body, "parallel_tool_calls")
    if _check_choice(body.get("tool_choice"), has_tools=bool(tools)):
        path = "tool_choice.function"
        chosen = needs_object(body["tool_choice"], "function", '{"name": "..."}', "tool_choice")
        _check_chosen(chosen, path, names, closed=len(functions) == len(tools))
    _check_legacy_functions(body)


def check_responses_tools(body: Fields) -> None:
    """Refuse tools and choices that /v1/responses cannot take."""
    tools = may_be_list_of_objects(body, "tools")
    functions = _functions(tools)
    names = _check_functions(functions)
    may_be_flag(body, "parallel_tool_calls")
    more = _brings_tools_along(body)
    if _check_choice(body.get("tool_choice"), has_tools=bool(tools) or more):
        closed = len(functions) == len(tools) and not more
        _check_chosen(body["tool_choice"], "tool_choice", names, closed=closed)


def check_tool_schemas(body: Fields) -> None:
    """Refuse functions whose parameters are no well-formed JSON Schema."""
    for name in ("tools", "functions"):
        tools = body.get(name)
        for index, tool in enumerate(tools if isinstance(tools, list) else []):
            if isinstance(tool, dict) and tool.get("type") in (None, "function"):
                _check_parameters(tool, f"{name}[{index}]")


def _check_parameters(tool: Fields, path: str) -> None:
    if isinstance(tool.get("function"), dict):
        tool, path = tool["function"], f"{path}.function"
    if isinstance(tool.get("parameters"), dict):
        check_schema(tool["parameters"], f"{path}.parameters")


def check_name(fields: Fields, path: str, advice: str = "") -> str:
    """Return the name of a function or schema; refuse what OpenAI's rule for names forbids."""
    name = needs_text(fields, "name", advice, path)
    if not _NAME.fullmatch(name):
        rule = "may have letters, digits, '_' and '-', at most 64 of them"
        refuse(f"{path}.name", f"{rule}; {short(name)} is no such name.")
    return name


def _functions(tools: Iterable[Located]) -> list[Located]:
    return [(path, tool) for path, tool in tools if _is_function(tool, path)]


def _is_function(tool: Fields, path: str) -> bool:
    # Unknown kinds of tools pass.
    kind = tool.get("type")
    return kind is None or needs_text(tool, "type", "Send 'function'.", path) == "function"


def _nested(tool: Fields, path: str) -> Fields:
    return needs_object(tool, "function", _FUNCTION_EXAMPLE, path)


def _check_functions(functions: Iterable[Located]) -> set[str]:
    names: set[str] = set()
    for path, function in functions:
        name = check_name(function, path, _FLAT if "function" in function else "")
        if name in names:
            refuse(f"{path}.name", "is the name of an earlier tool too. Give each its own.")
        names.add(name)
        may_be_string(function, "description", path)
        may_be_flag(function, "strict", path)
        may_be_object(function, "parameters", '{"type": "object"}', path)
    return names


def _check_choice(choice: Any, *, has_tools: bool) -> bool:
    """Refuse what is no choice; tell whether it is one of a function by its name."""
    if choice in (None, "none", "auto"):
        return False
    if not isinstance(choice, dict) and choice != "required":
        refuse("tool_choice", f"must be {_CHOICES}.")
    if not has_tools:
        refuse("tool_choice", "has no tools to choose from. Send 'tools', or leave it out.")
    return isinstance(choice, dict) and _is_function(choice, "tool_choice")


def _check_chosen(
    chosen: Fields, path: str, names: Collection[str], *, closed: bool, among: str = "tools"
) -> None:
    name = needs_text(chosen, "name", f"Name one of the {among}.", path)
    # Tools of other kinds may bring functions of their own.
    if closed and name not in names:
        known = ", ".join(sorted(names))[:_NAMES_SHOWN_CHARACTERS]
        refuse(f"{path}.name", f"is {short(name)}, which is none of the {among}: {known}.")


def _brings_tools_along(body: Fields) -> bool:
    items = body.get("input")
    loaded = isinstance(items, list) and any(
        isinstance(item, dict) and item.get("tools") for item in items
    )
    return loaded or bool(body.get("prompt"))


def _check_legacy_functions(body: Fields) -> None:
    names = _check_functions(may_be_list_of_objects(body, "functions"))
    choice = body.get("function_call")
    if choice in (None, "none", "auto"):
        return
    if not isinstance(choice, dict):
        refuse("function_call", 'must be "none", "auto" or an object such as {"name": "..."}.')
    if not names:
        refuse("function_call", "has no functions to choose from. Send 'functions' or 'tools'.")
    _check_chosen(choice, "function_call", names, closed=True, among="functions")

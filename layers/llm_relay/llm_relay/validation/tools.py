"""Checks of the tools that a request offers, and of its choice among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from llm_relay.core.defaults import objects_in
from llm_relay.validation import rules
from llm_relay.validation.fields import Fields, quote, refuse
from llm_relay.validation.json_schema import check_schema

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_NAMES_CHARACTERS = 120
_FLAT = "The Responses API takes it beside 'type', not within 'function'."
_CHOICES = '"none", "auto", "required" or an object that names one of the tools'
_NESTED = {
    "function": rules.object_with('{"name": "get_weather", "parameters": {"type": "object"}}')
}
_FUNCTION = {
    "description": rules.OPTIONAL_STRING,
    "strict": rules.OPTIONAL_BOOLEAN,
    "parameters": rules.optional(rules.object_with('{"type": "object"}')),
}


def check_chat_tools(body: Fields) -> None:
    """Refuse tools and choices that /v1/chat/completions cannot take."""
    tools = rules.objects(body, "tools")
    functions = []
    for path, tool in _functions(tools):
        rules.check(tool, _NESTED, path)
        functions.append((f"{path}.function", tool["function"]))
    names = _check_functions(functions)
    rules.check(body, {"parallel_tool_calls": rules.OPTIONAL_BOOLEAN})
    if _names_function(body.get("tool_choice"), has_tools=bool(tools)):
        chosen = body["tool_choice"]
        rules.check(chosen, {"function": rules.object_with('{"name": "..."}')}, "tool_choice")
        known = names if len(functions) == len(tools) else None
        _check_chosen(chosen["function"], "tool_choice.function", known)
    _check_legacy_functions(body)


def check_responses_tools(body: Fields) -> None:
    """Refuse tools and choices that /v1/responses cannot take."""
    tools = rules.objects(body, "tools")
    functions = _functions(tools)
    names = _check_functions(functions)
    rules.check(body, {"parallel_tool_calls": rules.OPTIONAL_BOOLEAN})
    has_more = _has_tools_elsewhere(body)
    if _names_function(body.get("tool_choice"), has_tools=bool(tools) or has_more):
        known = names if len(functions) == len(tools) and not has_more else None
        _check_chosen(body["tool_choice"], "tool_choice", known)


def check_tool_schemas(body: Fields) -> None:
    """Refuse functions whose parameters are not a well-formed JSON Schema."""
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


def check_name(fields: Fields, path: str, advice: str = "") -> None:
    """Refuse a name of a function or schema that breaks OpenAI's rule for names."""
    rules.check(fields, {"name": rules.text(advice)}, path)
    if not _NAME.fullmatch(fields["name"]):
        rule = "may have letters, digits, '_' and '-', at most 64 of them"
        refuse(f"{path}.name", f"{rule}; {quote(fields['name'])} does not.")


def _functions(tools: Iterable[tuple[str, Fields]]) -> list[tuple[str, Fields]]:
    return [(path, tool) for path, tool in tools if _is_function(tool, path)]


def _is_function(tool: Fields, path: str) -> bool:
    # Unknown kinds of tools pass.
    rules.check(tool, {"type": rules.optional(rules.text("Send 'function'."))}, path)
    return tool.get("type") in (None, "function")


def _check_functions(functions: Iterable[tuple[str, Fields]]) -> set[str]:
    names: set[str] = set()
    for path, function in functions:
        check_name(function, path, _FLAT if "function" in function else "")
        if function["name"] in names:
            refuse(f"{path}.name", "is the name of an earlier tool too. Give each its own.")
        names.add(function["name"])
        rules.check(function, _FUNCTION, path)
    return names


def _names_function(choice: Any, *, has_tools: bool) -> bool:
    """Tell whether a choice is one of a function by its name; refuse an invalid choice."""
    if choice in (None, "none", "auto"):
        return False
    if not isinstance(choice, dict) and choice != "required":
        refuse("tool_choice", f"must be {_CHOICES}.")
    if not has_tools:
        refuse("tool_choice", "has no tools to choose from. Send 'tools', or leave it out.")
    return isinstance(choice, dict) and _is_function(choice, "tool_choice")


def _check_chosen(
    chosen: Fields, path: str, known: Collection[str] | None, kind: str = "tools"
) -> None:
    """Check a chosen name; `known` is None if other tools may bring functions with them."""
    rules.check(chosen, {"name": rules.text(f"Name one of the {kind}.")}, path)
    if known is not None and chosen["name"] not in known:
        names = ", ".join(sorted(known))[:_MAX_NAMES_CHARACTERS]
        refuse(f"{path}.name", f"is {quote(chosen['name'])}, which is none of the {kind}: {names}.")


def _has_tools_elsewhere(body: Fields) -> bool:
    return bool(body.get("prompt")) or any(item.get("tools") for item in objects_in(body, "input"))


def _check_legacy_functions(body: Fields) -> None:
    names = _check_functions(rules.objects(body, "functions"))
    choice = body.get("function_call")
    if choice in (None, "none", "auto"):
        return
    if not isinstance(choice, dict):
        refuse("function_call", 'must be "none", "auto" or an object such as {"name": "..."}.')
    if not names:
        refuse("function_call", "has no functions to choose from. Send 'functions' or 'tools'.")
    _check_chosen(choice, "function_call", names, "functions")

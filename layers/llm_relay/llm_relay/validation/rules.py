"""Rules for the fields of a request's body. Null means absent everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_relay.validation.fields import Fields, is_number, path_to, refuse

Rule = Callable[[Any, str], None]  # checks a value, None if it is absent, at a path


def check(fields: Fields, rules: Mapping[str, Rule], within: str = "") -> None:
    """Check fields, whose names are plain words, by their rules."""
    prefix = f"{within}." if within else ""
    for name, rule in rules.items():
        rule(fields.get(name), prefix + name)


def rule(is_valid: Callable[[Any], object], why: str) -> Rule:
    """Return the rule that refuses invalid values for a reason."""

    def apply(value: Any, path: str) -> None:
        if not is_valid(value):
            refuse(path, why)

    return apply


def optional(required: Rule) -> Rule:
    """Return the same rule for a field that may be absent."""

    def apply(value: Any, path: str) -> None:
        if value is not None:
            required(value, path)

    return apply


def string(advice: str = "") -> Rule:
    """Return the rule for a string, which may be empty."""
    return rule(lambda value: isinstance(value, str), f"must be a string. {advice}")


def text(advice: str = "") -> Rule:
    """Return the rule for a string that is not blank."""
    why = f"must be a non-empty string. {advice}"
    return rule(lambda value: isinstance(value, str) and value.strip(), why)


def number(low: float, high: float) -> Rule:
    """Return the rule for an optional number from low to high."""
    why = f"must be a number from {low:g} to {high:g}."
    return optional(rule(lambda value: is_number(value) and low <= value <= high, why))


def integer(low: int, high: int) -> Rule:
    """Return the rule for an optional whole number from low to high."""
    why = f"must be a whole number from {low} to {high}."
    return optional(rule(lambda value: type(value) is int and low <= value <= high, why))


def object_with(example: str, **rules: Rule) -> Rule:
    """Return the rule for an object such as the example, with rules for its fields."""

    def apply(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            refuse(path, f"must be an object such as {example}.")
        check(value, rules, path)

    return apply


OPTIONAL_STRING = optional(string())
OPTIONAL_BOOLEAN = rule(lambda value: isinstance(value, bool | None), "must be true or false.")


def objects(fields: Fields, name: str, within: str = "") -> list[tuple[str, Fields]]:
    """Return the objects of a list, each with its path; refuse any other list."""
    value = fields.get(name)
    if value is None:
        return []
    path = path_to(within, name)
    if not isinstance(value, list):
        refuse(path, "must be a list.")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            refuse(f"{path}[{index}]", "must be an object.")
    return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

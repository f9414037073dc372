"""Checks of a request against its model's entry in the provider's list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from llm_relay.core.defaults import Document, object_in
from llm_relay.validation.fields import is_number, quote, refuse
from llm_relay.validation.images import images_in

_LOWEST_MAX_TEMPERATURE = 1  # the lowest limit of any known model
_MAX_LIMIT = 1_000_000  # a larger one restricts no request


def applies_to(body: Document) -> bool:
    """Tell whether a body asks for something that not every model can do."""
    temperature = body.get("temperature")
    may_exceed = is_number(temperature) and temperature > _LOWEST_MAX_TEMPERATURE
    return may_exceed or any(True for _ in images_in(body))


def check(body: Document, listed: Mapping[str, Any] | None) -> None:
    """Refuse what the model's entry in GET /v1/models excludes; what it leaves open passes."""
    if listed is None:
        return
    access = object_in(listed, "access")
    if access.get("locked") is True or access.get("available") is False:
        refuse(
            "model",
            "is locked for the provider's key. Choose another of GET /v1/models, whose entry "
            "for this one says what is missing.",
        )
    limits = object_in(listed, "sampling_limits")
    for name in ("temperature", "top_p"):
        if is_number(body.get(name)):
            _check_range(body[name], name, object_in(limits, name))
    _check_images(body, listed.get("input_modalities"))


def _check_range(value: float, name: str, limits: Document) -> None:
    low, high = limits.get("minimum"), limits.get("maximum")
    below, above = (limits.get(f"{end}_inclusive") is False for end in ("maximum", "minimum"))
    if _is_limit(high) and (value > high or (value == high and below)):
        refuse(name, f"must be {'below' if below else 'at most'} {high:g} for this model.")
    if _is_limit(low) and (value < low or (value == low and above)):
        refuse(name, f"must be {'above' if above else 'at least'} {low:g} for this model.")


def _check_images(body: Document, modalities: Any) -> None:
    is_known = isinstance(modalities, list) and all(isinstance(name, str) for name in modalities)
    if not is_known or not modalities or "image" in modalities:
        return
    model = body.get("model")
    name = quote(model) if isinstance(model, str) else "this model"
    for path, _ in images_in(body):
        refuse(
            path,
            f"is an image, and {name} takes none. Choose a model whose 'input_modalities' in "
            "GET /v1/models names 'image', or leave the image out.",
        )


def _is_limit(value: Any) -> TypeGuard[float]:
    return is_number(value) and abs(value) <= _MAX_LIMIT

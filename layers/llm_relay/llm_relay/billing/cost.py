"""The cost of a call, by the listed prices: the maximum before it, the actual one after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from llm_relay.billing.money import nanos_rounded_up
from llm_relay.core.defaults import Document, objects_in
from llm_relay.core.usage import Usage
from llm_relay.validation.fields import MAX_TOKENS

_MAX_USD_PER_TOKEN = 1_000_000  # a higher price is a mistake, and its cost could not be stored
# A token covers about 784 pixels, so this is an image of 1,770 by 1,770; the real size is unknown
# here. The cost of a larger one is charged when the provider reports it.
IMAGE_TOKENS = 4_000
_TEMPLATE_TOKENS = 256  # of the chat template around the messages
_MAX_CONTEXT = 2_000_000  # of any model, where the provider lists none

_TEXTS = {"text", "input_text", "output_text", "refusal", "reasoning_text", "summary_text"}
_IMAGES = {"image_url", "input_image"}
_ITEMS = {
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output",
}  # fmt: skip
_TOOLS = {"function", "custom"}
# Fields that refer to content the provider stores or looks up.
_REFERENCES = ("previous_response_id", "conversation", "prompt", "web_search_options")

ModelEntry = Mapping[str, Any]


def with_cost(usage: Usage, entry: ModelEntry | None) -> Usage:
    """Return the usage with its cost in US dollars, by the prices in the model's list entry."""
    pricing = (entry or {}).get("pricing")
    if usage.cost_usd is not None or not isinstance(pricing, dict):
        return usage
    prompt, completion = _usd_per_token(pricing, "prompt"), _usd_per_token(pricing, "completion")
    if prompt is None or completion is None or usage.tokens_in is None:
        return usage
    cached_price = _usd_per_token(pricing, "input_cache_read")
    cached = min(usage.tokens_cached or 0, usage.tokens_in) if cached_price is not None else 0
    cost = (usage.tokens_in - cached) * prompt + cached * (cached_price or 0.0)
    return replace(usage, cost_usd=cost + (usage.tokens_out or 0) * completion)


def max_cost_nanos(
    body: Document, output_tokens: int, entry: ModelEntry | None, min_usd_per_token: float
) -> int | None:
    """Return the maximum cost of a call; None for a model without a price.

    `min_usd_per_token` is for providers that charge more for a token than they list.
    """
    tokens_in = max_input_tokens(body, listed_count(entry, "context_length"))
    listed = with_cost(Usage(tokens_in=tokens_in, tokens_out=output_tokens), entry).cost_usd
    if listed is None:
        return None
    return nanos_rounded_up(max(listed, (tokens_in + output_tokens) * min_usd_per_token))


def max_input_tokens(body: Document, context: int | None) -> int:
    """Return at least as many tokens as any tokenizer counts: a token has one byte or more.

    Content that cannot be counted (video, audio, files, references) may fill the model's context.
    """
    if not _is_countable(body):
        return context or _MAX_CONTEXT
    parts = (part for each in _contents(body) if isinstance(each, list) for part in each)
    images = [part for part in parts if part.get("type") in _IMAGES]
    data = sum(len(_data_url(image)) for image in images)
    tokens = _TEMPLATE_TOKENS + _text_bytes(body) - data + IMAGE_TOKENS * len(images)
    return min(tokens, context) if context else tokens


def listed_count(entry: ModelEntry | None, name: str) -> int | None:
    """Return a count from the model's list entry, if it is a valid one."""
    value = (entry or {}).get(name)
    return value if type(value) is int and 0 < value <= MAX_TOKENS else None


def _usd_per_token(pricing: Mapping[str, Any], name: str) -> float | None:
    try:
        price = float(pricing[name])  # listed as text
    except (KeyError, TypeError, ValueError):
        return None
    return price if 0 <= price <= _MAX_USD_PER_TOKEN else None


def _is_countable(body: Document) -> bool:
    return (
        all(body.get(name) is None for name in _REFERENCES)
        and _all_of_types(_TOOLS, body.get("tools"), default="function")
        and _all_of_types(_ITEMS, body.get("input"), default="message")
        and all(_all_of_types(_TEXTS | _IMAGES, each, default="text") for each in _contents(body))
    )


def _all_of_types(known: set[str], value: Any, *, default: str) -> bool:
    """Return whether a value is text, or a list of objects of known types."""
    if not isinstance(value, list):
        return isinstance(value, str | None)
    types = (each.get("type", default) if isinstance(each, dict) else None for each in value)
    return all(isinstance(each, str) and each in known for each in types)


def _contents(body: Document) -> Iterator[Any]:
    for message in objects_in(body, "messages") + objects_in(body, "input"):
        yield from (message.get("content"), message.get("output"))


def _data_url(image: Document) -> str:
    source = image.get("image_url")
    url = source.get("url") if isinstance(source, dict) else source
    if not isinstance(url, str) or not url.isascii() or url[:5].lower() != "data:":
        return ""
    return url


def _text_bytes(value: Any) -> int:
    """Count the bytes of all names and values; values other than text are short."""
    count, pending = 0, [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            pending += each
        else:
            count += len(str(each).encode("utf-8", "surrogatepass"))
    return count

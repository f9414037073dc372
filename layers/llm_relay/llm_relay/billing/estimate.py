"""What a call may cost at the most, before anybody has counted its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_relay.billing.money import nanos_rounded_up
from llm_relay.billing.prices import with_cost
from llm_relay.core.usage import Usage
from llm_relay.validation.fields import MOST_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

# An image counts about a token for 784 pixels, so this is one of 1,770 by 1,770; its pixels are
# not known here. What a larger one costs beyond that is charged when the provider tells it.
IMAGE_TOKENS = 4_000
# What the provider writes around the messages by itself.
_OWN_TOKENS = 256
# For a model whose context the provider does not list: no model takes more.
_LONGEST_CONTEXT = 2_000_000

_TEXTS = {"text", "input_text", "output_text", "refusal", "reasoning_text", "summary_text"}
_IMAGES = {"image_url", "input_image"}
_ITEMS = {
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output",
}  # fmt: skip
_TOOLS = {"function", "custom"}
# What these bring along is with the provider.
_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt", "web_search_options")

Document = Mapping[str, Any]


def max_cost_nanos(
    body: Document, output_tokens: int, entry: Document | None, min_usd_per_token: float
) -> int | None:
    """Return the most that a call can cost; None for a model without a price.

    Providers may charge more for a token than they list; `min_usd_per_token` says so.
    """
    tokens_in = max_input_tokens(body, listed_count(entry, "context_length"))
    listed = with_cost(Usage(tokens_in=tokens_in, tokens_out=output_tokens), entry).cost_usd
    if listed is None:
        return None
    return nanos_rounded_up(max(listed, (tokens_in + output_tokens) * min_usd_per_token))


def max_input_tokens(body: Document, context: int | None) -> int:
    """Return no fewer tokens than any tokenizer counts: a token is a byte of text or more.

    What cannot be counted (video, sound, files, what the provider looks up or keeps) may fill the
    model's context.
    """
    if not _is_countable(body):
        return context or _LONGEST_CONTEXT
    images = [part for part in _parts(body) if part.get("type") in _IMAGES]
    data = sum(len(_data_url(image)) for image in images)
    tokens = _OWN_TOKENS + _text_bytes(body) - data + IMAGE_TOKENS * len(images)
    return min(tokens, context) if context else tokens


def listed_count(entry: Document | None, name: str) -> int | None:
    """Return a count that the provider's list gives for a model, if it is one."""
    value = (entry or {}).get(name)
    return value if type(value) is int and 0 < value <= MOST_TOKENS else None


def _is_countable(body: Document) -> bool:
    if any(body.get(name) is not None for name in _KEPT_ELSEWHERE):
        return False
    return all(
        member.get("type", default) in known
        for members, default, known in (
            (_objects(body.get("tools")), "function", _TOOLS),
            (_objects(body.get("input")), "message", _ITEMS),
            (_parts(body), "text", _TEXTS | _IMAGES),
        )
        for member in members
    )


def _parts(body: Document) -> Iterator[Document]:
    for name in ("messages", "input"):
        for turn in _objects(body.get(name)):
            for member in ("content", "output"):
                yield from _objects(turn.get(member))


def _objects(value: Any) -> Iterator[Document]:
    return (
        (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
    )


def _data_url(image: Document) -> str:
    held = image.get("image_url")
    url = held.get("url") if isinstance(held, dict) else held
    if not isinstance(url, str) or not url.isascii():
        return ""
    return url if url[:5].lower() == "data:" else ""


def _text_bytes(value: Any) -> int:
    """Count the bytes of everything in a body: what is no text is a little of it."""
    count, todo = 0, [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            todo += each
        else:
            count += len(str(each).encode("utf-8", "surrogatepass"))
    return count

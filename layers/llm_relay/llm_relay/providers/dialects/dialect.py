"""How the APIs of providers differ from OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The fields that a provider renames, lacks or rejects; the defaults change nothing."""

    name: str
    strict_requests: bool = False  # checked in every known field, as its errors explain little
    # The top-level fields of chat completions; others are dropped. None: no field is dropped.
    chat_fields: frozenset[str] | None = None
    # By path: fields that cannot be dropped without changing the request, and what to send instead.
    rejected_fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    exclusive_fields: tuple[tuple[str, str], ...] = ()  # pairs that exclude each other
    renamed_chat_fields: Mapping[str, str] = field(default_factory=dict)
    renamed_roles: Mapping[str, str] = field(default_factory=dict)
    supports_strict_tools: bool = True
    stores_responses: bool = True  # so that later requests can refer to their items
    renamed_events: Mapping[str, str] = field(default_factory=dict)  # of Responses streams
    min_usd_per_token: float = 0.0  # for a worst case, where the list is below the bill


OPENAI = Dialect(name="openai")

# https://docs.abliteration.ai/api-reference/chat-completions
ABLITERATION = Dialect(
    name="abliteration",
    strict_requests=True,
    chat_fields=frozenset(
        {
            "audio", "cache_salt", "flagged_categories", "frequency_penalty", "function_call",
            "functions", "include_reasoning", "logit_bias", "logprobs", "max_tokens", "messages",
            "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction",
            "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning",
            "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier",
            "stop", "store", "stream", "stream_options", "temperature", "thinking", "tool_choice",
            "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
        }
    ),
    rejected_fields={
        "/chat/completions": {
            "input": "Send 'messages', or use /v1/responses.",
            "instructions": "Send a system message, or use /v1/responses.",
            "prompt": "Send 'messages'.",
            "text": "Send 'response_format', or use /v1/responses.",
            "max_output_tokens": "Send 'max_tokens', or use /v1/responses.",
            "previous_response_id": "Send the whole conversation in 'messages'.",
        },
        "/responses": {
            "background": "This provider stores no responses. Wait for the answer, or stream it.",
            "conversation": "This provider stores no conversations. Send all of it in 'input'.",
            "messages": "Send 'input', or use /v1/chat/completions.",
        },
    },
    exclusive_fields=(("tools", "web_search_options"),),
    renamed_chat_fields={"max_completion_tokens": "max_tokens"},
    renamed_roles={"developer": "system"},
    supports_strict_tools=False,
    stores_responses=False,
    renamed_events={
        "response.function_call.arguments.delta": "response.function_call_arguments.delta",
        "response.function_call.arguments.done": "response.function_call_arguments.done",
        "response.function_call.done": "response.function_call_arguments.done",
    },
    min_usd_per_token=5e-6,  # by every `estimated_cost_usd` in its documentation
)  # fmt: skip

DIALECTS = {dialect.name: dialect for dialect in (ABLITERATION, OPENAI)}
DEFAULT_MODELS = {"abliteration": "abliterated-model"}  # for a test call


def dialect_named(name: str, base_url: str) -> Dialect:
    """Return a dialect, `auto` meaning that of the host; ValueError for an unknown name."""
    if name == "auto":
        name = "abliteration" if urlsplit(base_url).hostname == "api.abliteration.ai" else "openai"
    if name not in DIALECTS:
        raise ValueError(f"PROVIDER_DIALECT is {name!r}; use auto, {', '.join(DIALECTS)}")
    return DIALECTS[name]

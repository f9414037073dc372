"""Checks what a client may request, before anything is reserved or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_relay.billing.cost import ModelEntry, listed_count, max_cost_nanos
from llm_relay.core.errors import BadRequest, ModelNotAllowed, ModelUnpriced

if TYPE_CHECKING:
    from llm_relay.core.client import Client
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.provider import Provider

_CHAT = "/chat/completions"
# The fields of each endpoint that limit the answer's length; the first is the one the relay sets.
_LENGTH_FIELDS = {
    _CHAT: ("max_tokens", "max_completion_tokens"),
    "/responses": ("max_output_tokens",),
}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request as its client may send it, and its maximum cost."""

    body: Body  # the original object, unless the client's output limit was added
    max_cost_nanos: int = 0  # 0 for clients without a budget
    # The body for each provider that has the model, in failover order: output limits may differ.
    bodies: Mapping[Provider, Body] = field(default_factory=dict)


def merge_admissions(admissions: Mapping[Provider, Admission]) -> Admission:
    """Return one admission for all providers, with the highest of their worst-case costs."""
    return replace(
        next(iter(admissions.values())),
        max_cost_nanos=max(each.max_cost_nanos for each in admissions.values()),
        bodies={provider: each.body for provider, each in admissions.items()},
    )


def admit(
    client: Client, path: str, body: Body, entry: ModelEntry | None, dialect: Dialect
) -> Admission:
    """Return a validated request as the client may send it.

    `entry` is the model's entry in the provider's list, needed only for clients with a budget.
    Raises ModelNotAllowed, BadRequest or ModelUnpriced.
    """
    _check_model(client, body)
    body = _with_output_limit(client, path, body, entry)
    if client.budget_nanos is None:
        return Admission(body=body)
    answers = (body.get("n") or 1) if path == _CHAT else 1  # no other endpoint has `n`
    listed = listed_count(entry, "max_output_length") or listed_count(entry, "context_length")
    tokens_out = max(_requested_lengths(path, body).values(), default=listed)
    cost = max_cost_nanos(body, answers * (tokens_out or 0), entry, dialect.min_usd_per_token)
    if cost is None:
        raise ModelUnpriced(
            "The provider lists no price for this model, so keys with a budget cannot use it. "
            "Choose a model of GET /v1/models that has a price. If yours has one there, try again "
            "in a few minutes.",
            param="model",
        )
    if tokens_out is None:
        name = _LENGTH_FIELDS[path][0]
        raise BadRequest(
            f"'{name}' is required for keys with a budget: the provider does not list a maximum "
            "output length for this model.",
            param=name,
        )
    return Admission(body=body, max_cost_nanos=cost)


def _check_model(client: Client, body: Body) -> None:
    if client.models is not None and body.get("model") not in client.models:
        raise ModelNotAllowed(
            f"Your key may use these models: {', '.join(sorted(client.models))}. Choose one of "
            "them, or ask the operator for another.",
            param="model",
        )


def _with_output_limit(client: Client, path: str, body: Body, entry: ModelEntry | None) -> Body:
    """Return the body with the client's output limit; BadRequest if it requests more."""
    limit, requested = client.max_output_tokens, _requested_lengths(path, body)
    if limit is None:
        return body
    for name, tokens in requested.items():
        if tokens > limit:
            raise BadRequest(f"'{name}' must be at most {limit} for your key.", param=name)
    if requested:
        return body
    listed = listed_count(entry, "max_output_length") or limit
    return body | {_LENGTH_FIELDS[path][0]: min(limit, listed)}


def _requested_lengths(path: str, body: Body) -> dict[str, int]:
    return {name: body[name] for name in _LENGTH_FIELDS[path] if body.get(name) is not None}

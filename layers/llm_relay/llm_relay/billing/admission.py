"""What a client may ask for, checked before anything is set aside or sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_relay.billing.estimate import listed_count, max_cost_nanos
from llm_relay.core.errors import BadRequest, ModelNotAllowed, ModelUnpriced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.client import Client
    from llm_relay.providers.dialects.dialect import Dialect
    from llm_relay.providers.provider import Provider

_CHAT = "/chat/completions"
# Where each endpoint's callers say how long an answer may be; the first is what we say it with.
_WISHES = {
    _CHAT: ("max_tokens", "max_completion_tokens"),
    "/responses": ("max_output_tokens",),
}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request as its client may make it, and what it may cost at the most."""

    body: Body  # the very body that came, unless the client's cap had to be put in
    max_cost_nanos: int = 0  # 0 for clients without a budget, whose calls nobody adds up
    # What each of the providers gets that can take it, in their order: caps may differ.
    bodies: Mapping[Provider, Body] = field(default_factory=dict)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The providers that can take it, in their order."""
        return tuple(self.bodies)


def merge_admissions(admissions: Mapping[Provider, Admission]) -> Admission:
    """Return one admission for all providers, with the highest of their worst-case costs."""
    return replace(
        next(iter(admissions.values())),
        max_cost_nanos=max(each.max_cost_nanos for each in admissions.values()),
        bodies={provider: each.body for provider, each in admissions.items()},
    )


def admit(
    client: Client, path: str, body: Body, entry: Mapping[str, Any] | None, dialect: Dialect
) -> Admission:
    """Return the request, already checked for its shape, as the client may make it.

    `entry` is what the provider lists of the model; only clients with a budget need it.
    Raises ModelNotAllowed, BadRequest or ModelUnpriced.
    """
    _check_model(client, body)
    _check_wishes(client, path, body)
    body = _capped(client, path, body, entry)
    if client.budget_nanos is None:
        return Admission(body=body)
    answers = (body.get("n") or 1) if path == _CHAT else 1  # elsewhere it means nothing
    tokens_out = _output_tokens(path, body, entry)
    worst = max_cost_nanos(body, answers * (tokens_out or 0), entry, dialect.min_usd_per_token)
    if worst is None:
        raise ModelUnpriced(
            "The provider lists no price for this model, so it cannot be used on a budget. "
            "Choose one of GET /v1/models that has a price; if yours has one there, try again in "
            "some minutes.",
            param="model",
        )
    if tokens_out is None:
        name = _WISHES[path][0]
        raise BadRequest(
            f"'{name}' is needed on a budget: the provider does not list how long this model's "
            "answers may get.",
            param=name,
        )
    return Admission(body=body, max_cost_nanos=worst)


def _check_model(client: Client, body: Body) -> None:
    if client.models is not None and body.get("model") not in client.models:
        raise ModelNotAllowed(
            f"Your key is good for these models: {', '.join(sorted(client.models))}. Choose one "
            "of them, or ask whoever runs this endpoint for another.",
            param="model",
        )


def _check_wishes(client: Client, path: str, body: Body) -> None:
    for name, wish in _wishes(path, body).items():
        if client.max_output_tokens is not None and wish > client.max_output_tokens:
            raise BadRequest(
                f"'{name}' must be at most {client.max_output_tokens} for your key.", param=name
            )


def _capped(client: Client, path: str, body: Body, entry: Mapping[str, Any] | None) -> Body:
    if client.max_output_tokens is None or _wishes(path, body):
        return body
    longest = listed_count(entry, "max_output_length") or client.max_output_tokens
    return body | {_WISHES[path][0]: min(client.max_output_tokens, longest)}


def _output_tokens(path: str, body: Body, entry: Mapping[str, Any] | None) -> int | None:
    longest = listed_count(entry, "max_output_length") or listed_count(entry, "context_length")
    return max(_wishes(path, body).values(), default=longest)


def _wishes(path: str, body: Body) -> dict[str, int]:
    return {name: body[name] for name in _WISHES[path] if body.get(name) is not None}

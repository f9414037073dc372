"""Who calls, and what they may do, as the authorizer tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A caller; one whose key was not made by `relay keys create` has no id and no limits."""

    id: str
    key_id: str
    budget_nanos: int | None = None
    budget_per: str = "day"
    models: frozenset[str] | None = None  # None: any
    max_output_tokens: int | None = None


def client_of(request: ApiRequest) -> Client:
    """Return who made a request; ValueError for a limit that is no number."""
    said = request.authorizer  # strings alone, as API Gateway hands them on
    models = said.get("models")
    return Client(
        id=said.get("client", ""),
        key_id=request.client,
        budget_nanos=_number(said.get("budget_nanos")),
        budget_per=said.get("budget_per") or "day",
        models=frozenset(models.split(",")) if models else None,
        max_output_tokens=_number(said.get("max_output_tokens")),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)

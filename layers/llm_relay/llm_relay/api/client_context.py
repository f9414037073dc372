"""The caller of a request, as the authorizer describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.client import Client

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest


def client_of(request: ApiRequest) -> Client:
    """Return who made a request; ValueError for a limit that is no number."""
    said = request.authorizer  # strings alone, as API Gateway hands them on
    models = said.get("models")
    return Client(
        id=said.get("client", ""),
        key_id=request.api_key_id,
        budget_nanos=_number(said.get("budget_nanos")),
        budget_per=said.get("budget_per") or "day",
        models=frozenset(models.split(",")) if models else None,
        max_output_tokens=_number(said.get("max_output_tokens")),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)

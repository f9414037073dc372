"""The caller of a request, as the authorizer describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.core.client import Client, parse_limits

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest


def client_of(request: ApiRequest) -> Client:
    """Return the client of a request; ValueError for a limit that is not a number."""
    context = request.authorizer
    limits = parse_limits({name: value for name, value in context.items() if value})
    return Client(id=context.get("client", ""), key_id=request.api_key_id, **limits)

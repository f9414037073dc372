"""Who calls, and what they may do, as the authorizer tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A caller; one whose key was not made by `relay keys create` has no id and no limits."""

    id: str
    key_id: str
    budget_nanos: int | None = None
    budget_per: str = "day"
    models: frozenset[str] | None = None  # None: any
    max_output_tokens: int | None = None

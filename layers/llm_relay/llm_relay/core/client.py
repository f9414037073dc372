"""Clients and their limits: one schema for profiles, authorizer contexts and stored records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


def _words(value: str | Iterable[str]) -> frozenset[str]:
    return frozenset(value.split(",") if isinstance(value, str) else value)


def _limit(parse: Callable[[Any], Any], default: Any = None) -> Any:
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What a client may do. A new limit is a field here, a check and an option of `relay keys`."""

    budget_nanos: int | None = _limit(int)  # None: unlimited, here and below
    budget_per: str = _limit(str, "day")  # or "month"
    models: frozenset[str] | None = _limit(_words)
    max_output_tokens: int | None = _limit(int)

    def values(self) -> dict[str, Any]:
        """Return the limits that are set, with lists for sets: numbers, text and lists of text."""
        named = {each.name: (getattr(self, each.name), each.default) for each in _LIMITS}
        changed = {name: value for name, (value, default) in named.items() if value != default}
        return {n: sorted(v) if isinstance(v, frozenset) else v for n, v in changed.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientLimits):
    """A caller. One whose key was not created by `relay keys create` has no id and no limits."""

    id: str
    key_id: str

    def document(self) -> dict[str, Any]:
        """Return the client as JSON values."""
        return {"id": self.id, "key_id": self.key_id, **self.values()}


def parse_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ClientLimits in a profile, a context or a document.

    Numbers may be text, and lists comma-separated text, as in an authorizer's context. ValueError
    for a limit that is not a number.
    """
    return {
        each.name: each.metadata["parse"](values[each.name])
        for each in _LIMITS
        if values.get(each.name) is not None
    }


def parse_client(document: Mapping[str, Any]) -> Client:
    """Return the client in a document."""
    return Client(id=document["id"], key_id=document["key_id"], **parse_limits(document))


_LIMITS = fields(ClientLimits)

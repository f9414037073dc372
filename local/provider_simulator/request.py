"""A request as it arrived."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from local.provider_simulator.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """A request; body is None unless it is a JSON object, its model has lost its switches."""

    method: str
    path: str
    key: str
    switches: str
    body: Json | None

    @property
    def model(self) -> str:
        """Return the name of the model, or nothing."""
        return str((self.body or {}).get("model", ""))


def read_request(method: str, path: str, headers: Mapping[str, str], raw: bytes) -> ProviderRequest:
    """Take a request apart."""
    body = _object(raw)
    marker = ""
    if body is not None and isinstance(body.get("model"), str):
        body["model"], _, marker = body["model"].partition("@")
    return ProviderRequest(
        method=method,
        path=path,
        key=headers.get("authorization", "").removeprefix("Bearer "),
        switches=f"{marker};{headers.get('x-simulate', '')}",
        body=body,
    )


def _object(raw: bytes) -> Json | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

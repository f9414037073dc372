"""Parse received requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from local.provider_simulator.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """A request; body is None unless it is a JSON object, and its model excludes switches."""

    method: str
    path: str
    key: str
    switches: str
    body: Json | None

    @property
    def model(self) -> str:
        """Return the name of the model, or an empty string."""
        return str((self.body or {}).get("model", ""))


def parse_request(
    method: str, path: str, headers: Mapping[str, str], raw: bytes
) -> ProviderRequest:
    """Parse a request."""
    body = _object(raw)
    model_switches = ""
    if body is not None and isinstance(body.get("model"), str):
        body["model"], _, model_switches = body["model"].partition("@")
    return ProviderRequest(
        method=method,
        path=path,
        key=headers.get("authorization", "").removeprefix("Bearer "),
        switches=f"{model_switches};{headers.get('x-simulate', '')}",
        body=body,
    )


def _object(raw: bytes) -> Json | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

"""Settings of the providers, read from the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llm_relay.providers.dialects.dialect import DIALECTS, Dialect, dialect_named
from llm_relay.transport.settings import NO_CREDENTIALS, TransportSettings, with_version

_REQUIRED_FIELDS = ("name", "base_url")
_FIELDS = {*_REQUIRED_FIELDS, "secret_arn", "dialect", "models"}
_TEXT_FIELDS = {  # what each must match, and the same in words
    "name": (r"[a-z0-9][a-z0-9-]{0,31}", "1 to 32 lower-case letters, digits and dashes"),
    "base_url": (
        r"(?i:https?)://[^\s/?#@:][^\s/?#@]*([/?#]\S*)?",
        f"a URL such as https://api.example.com/v1, and {NO_CREDENTIALS}",
    ),
    "secret_arn": (r"arn:aws[a-z-]*:secretsmanager:.+", "the ARN of a secret, or be left out"),
    "dialect": ("|".join(("auto", *DIALECTS)), f"one of auto, {', '.join(DIALECTS)}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """How a provider is reached and retried, and which models it serves."""

    name: str = "default"
    is_listed: bool = False  # in the operator's list of providers
    transport: TransportSettings
    dialect: Dialect
    models: Mapping[str, str] = field(default_factory=dict)  # our name -> its own; {}: any model
    secret_arn: str  # the name of a secret, never the secret
    key_for_sam_local: str | None = field(repr=False)  # from the environment
    first_byte_seconds: float  # timeout for an answer, retries included
    max_attempts: int
    max_wait_seconds: float  # a longer Retry-After is passed on to the caller
    keep_alive_seconds: float  # silence after which a stream gets a comment

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> ProviderSettings:
        """Read the settings of a single provider; ValueError for an invalid one."""
        key = environ.get("ABLIT_KEY") or environ.get("ABLITERATION_API_KEY")
        transport = TransportSettings.from_mapping(environ)
        return cls(
            transport=transport,
            dialect=dialect_named(environ.get("PROVIDER_DIALECT", "auto"), transport.base_url),
            secret_arn=environ.get("PROVIDER_KEY_SECRET_ARN", ""),
            key_for_sam_local=key if environ.get("AWS_SAM_LOCAL") else None,
            first_byte_seconds=float(environ.get("UPSTREAM_FIRST_BYTE_SECONDS", "280")),
            max_attempts=int(environ.get("UPSTREAM_MAX_ATTEMPTS", "3")),
            max_wait_seconds=float(environ.get("UPSTREAM_LONGEST_WAIT_SECONDS", "20")),
            keep_alive_seconds=float(environ.get("KEEP_ALIVE_SECONDS", "15")),
        )

    @property
    def max_silence_seconds(self) -> float:
        """The longest time without a byte from the provider."""
        return max(self.first_byte_seconds, self.transport.read_idle_seconds)


def provider_settings(environ: Mapping[str, str]) -> list[ProviderSettings]:
    """Return the settings of each provider, in order; ValueError if the environment is invalid."""
    settings, listed = ProviderSettings.from_mapping(environ), environ.get("PROVIDERS")
    return _parse_list(listed, settings) if listed else [settings]


def _parse_list(text: str, defaults: ProviderSettings) -> list[ProviderSettings]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Providers is not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("Providers must be a JSON array of at least one provider")
    found = [_parse_entry(each, f"Providers[{i}]", defaults) for i, each in enumerate(entries)]
    names = [each.name for each in found]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Providers has two providers of the name {min(duplicates)}")
    return found


def _parse_entry(entry: Any, path: str, defaults: ProviderSettings) -> ProviderSettings:
    _check_entry(entry, path)
    base_url = with_version(entry["base_url"])
    settings = replace(
        defaults,
        name=entry["name"],
        is_listed=True,
        transport=replace(defaults.transport, base_url=base_url),
        dialect=dialect_named(entry.get("dialect", "auto"), base_url),
        models=entry.get("models", {}),
    )
    if arn := entry.get("secret_arn"):  # else it uses the stack's own secret
        settings = replace(settings, secret_arn=arn, key_for_sam_local=None)
    return settings


def _check_entry(entry: Any, path: str) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{path} must be an object with 'name' and 'base_url'")
    if unknown := entry.keys() - _FIELDS:
        raise ValueError(f"{path} has {min(unknown)!r}; there are {', '.join(sorted(_FIELDS))}")
    for name, (pattern, expected) in _TEXT_FIELDS.items():
        is_valid = isinstance(entry.get(name), str) and re.fullmatch(pattern, entry[name])
        if (name in entry or name in _REQUIRED_FIELDS) and not is_valid:
            raise ValueError(f"{path}.{name} must be {expected}")
    models = entry.get("models", {})
    names = [*models.keys(), *models.values()] if isinstance(models, dict) else [None]
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f'{path}.models must be an object such as {{"our-name": "its-own-name"}}')

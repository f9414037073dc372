"""The operator's list of providers, in the order in which they are called."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llm_relay.providers.dialects.dialect import DIALECTS, dialect_named
from llm_relay.providers.settings import ProviderKeySettings, ProviderSettings
from llm_relay.transport.settings import NO_CREDENTIALS, with_version

_REQUIRED_FIELDS = ("name", "base_url")
_FIELDS = {*_REQUIRED_FIELDS, "secret_arn", "dialect", "models"}
_TEXT_FIELDS = {  # what each must match, and the same in words
    "name": (r"[a-z0-9][a-z0-9-]{0,31}", "1 to 32 lower-case letters, digits and dashes"),
    "base_url": (
        r"(?i:https?)://[^\s/?#@:][^\s/?#@]*([/?#]\S*)?",
        f"a URL such as https://api.example.com/v1, and {NO_CREDENTIALS}",
    ),
    "secret_arn": (r"arn:aws[a-z-]*:secretsmanager:.+", "the ARN of a secret, or be left out"),
    "dialect": ("|".join(DIALECTS), f"one of {', '.join(DIALECTS)}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEntry:
    """One provider of the list."""

    name: str
    base_url: str
    secret_arn: str | None = None  # None: the stack's own secret
    dialect: str = "openai"
    models: Mapping[str, str] = field(default_factory=dict)  # our name -> its own; {}: any model

    def settings(self, defaults: ProviderSettings) -> ProviderSettings:
        """Return the provider's settings; timeouts and retries are the same for all."""
        transport = replace(defaults.transport, base_url=with_version(self.base_url))
        return replace(defaults, transport=transport, dialect=dialect_named(self.dialect))

    def model_name(self, model: str | None) -> str | None:
        """Return the provider's name of a model, or of any of its models for None."""
        if not self.models:
            return model
        return self.models.get(model or "") or next(iter(self.models.values()))

    def key_settings(self, defaults: ProviderKeySettings) -> ProviderKeySettings:
        """Return where its key is; a key for `sam local` replaces the stack's own secret only."""
        if self.secret_arn is None:
            return defaults
        return ProviderKeySettings(secret_arn=self.secret_arn, key_for_sam_local=None)


def parse_provider_list(text: str) -> list[ProviderEntry]:
    """Return the providers of a list in JSON; ValueError if it is invalid."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Providers is not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("Providers must be a JSON array of at least one provider")
    found = [_parse_entry(entry, f"Providers[{index}]") for index, entry in enumerate(entries)]
    names = [each.name for each in found]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Providers has two providers of the name {min(duplicates)}")
    return found


def _parse_entry(entry: Any, path: str) -> ProviderEntry:
    if not isinstance(entry, dict):
        raise ValueError(f"{path} must be an object with 'name' and 'base_url'")
    if unknown := entry.keys() - _FIELDS:
        raise ValueError(f"{path} has {min(unknown)!r}; there are {', '.join(sorted(_FIELDS))}")
    for name, (pattern, expected) in _TEXT_FIELDS.items():
        value = entry.get(name)
        is_valid = isinstance(value, str) and re.fullmatch(pattern, value)
        if (name in entry or name in _REQUIRED_FIELDS) and not is_valid:
            raise ValueError(f"{path}.{name} must be {expected}")
    if not _is_map(entry.get("models", {})):
        raise ValueError(f'{path}.models must be an object such as {{"our-name": "its-own-name"}}')
    return ProviderEntry(**entry)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and name for pair in value.items() for name in pair
    )

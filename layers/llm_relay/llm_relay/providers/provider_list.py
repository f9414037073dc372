"""The providers that the operator names, in the order in which they are asked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_relay.providers.dialects.dialect import DIALECTS, dialect_named
from llm_relay.providers.settings import ProviderKeySettings
from llm_relay.transport.settings import NO_CREDENTIALS, with_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.providers.settings import ProviderSettings

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_FIELDS = {"name", "base_url", "secret_arn", "dialect", "models"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEntry:
    """One provider of the list, as the operator writes it."""

    name: str
    base_url: str
    secret_arn: str | None = None  # None: the stack's own secret
    dialect: str = "openai"
    models: Mapping[str, str] = field(default_factory=dict)  # asked for -> its own name; {}: any

    def upstream(self, settings: ProviderSettings) -> ProviderSettings:
        """Return where it is, and the patience that holds for all."""
        transport = replace(settings.transport, base_url=with_version(self.base_url))
        return replace(settings, transport=transport, dialect=dialect_named(self.dialect))

    def asked(self, model: str | None) -> str | None:
        """Return its own name for a model, or for any one if none is named."""
        if not self.models:
            return model
        return self.models.get(model or "") or next(iter(self.models.values()))

    def key(self, keys: ProviderKeySettings) -> ProviderKeySettings:
        """Return where its key is; one for `sam local` is for the stack's own secret alone."""
        if self.secret_arn is None:
            return keys
        return ProviderKeySettings(secret_arn=self.secret_arn, key_for_sam_local=None)


def parse_provider_list(text: str) -> list[ProviderEntry]:
    """Return the providers of a list in JSON; ValueError says what is wrong with it."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Providers is not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("Providers must be a JSON array of one provider or more")
    found = [_listed(entry, f"Providers[{place}]") for place, entry in enumerate(entries)]
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Providers has two providers of the name {min(twice)}")
    return found


def _listed(entry: Any, place: str) -> ProviderEntry:
    if not isinstance(entry, dict):
        raise ValueError(f"{place} must be an object with 'name' and 'base_url'")
    if unknown := entry.keys() - _FIELDS:
        raise ValueError(f"{place} has {min(unknown)!r}; there are {', '.join(sorted(_FIELDS))}")
    for name, is_good, wanted in (
        ("name", _is_name, "1 to 32 lower-case letters, digits and dashes"),
        (
            "base_url",
            _is_url,
            f"a URL such as https://api.example.com/v1, and {NO_CREDENTIALS}",
        ),
        ("secret_arn", _is_arn, "the ARN of a secret, or be left out"),
        ("dialect", _is_dialect, f"one of {', '.join(DIALECTS)}"),
        ("models", _is_map, 'an object such as {"asked-for": "its-own-name"}'),
    ):
        is_needed = name in ("name", "base_url")
        if (name in entry or is_needed) and not is_good(entry.get(name)):
            raise ValueError(f"{place}.{name} must be {wanted}")
    return ProviderEntry(**entry)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def _is_url(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and "@" not in url.netloc


def _is_arn(value: Any) -> bool:
    return isinstance(value, str) and bool(re.match(r"arn:aws[a-z-]*:secretsmanager:.", value))


def _is_dialect(value: Any) -> bool:
    return isinstance(value, str) and value in DIALECTS


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and name for pair in value.items() for name in pair
    )

"""Settings of the local stack, with their defaults."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local.lambda_runtime.environments import CONCURRENCY_LIMIT

ROOT = Path(__file__).resolve().parent.parent
CLIENT_KEY = "sk-relay-local-000000000000000000000000"
PROVIDER_URL = "https://api.abliteration.ai/v1"
NO_KEY = "no-key-was-given"
CLIENT_KEY_FORM = "[A-Za-z0-9._~+/=-]{20,128}"  # as the template's authorizer
PORT = 8080
TOKENS_PER_SECOND = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one stack; `upstream_url` None means the provider simulator."""

    port: int = 0
    client_key: str = CLIENT_KEY
    upstream_url: str | None = None
    provider_key: str | None = None
    runtime: str | None = None
    template: Path = ROOT / "template.yaml"
    log: Path = ROOT / ".relay-local.log"
    parameters: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = CONCURRENCY_LIMIT
    authorizer_ttl_seconds: float | None = None  # None: as the template says
    tokens_per_second: float = 0  # in the simulator's streams; 0: no pause

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings of `make run`; ValueError with a message for the user."""
        given = environ.get("UPSTREAM_BASE_URL")
        key = environ.get("ABLIT_KEY") or environ.get("ABLITERATION_API_KEY")
        upstream = given or (PROVIDER_URL if key else None)
        ttl, dialect = environ.get("AUTHORIZER_TTL_SECONDS"), environ.get("PROVIDER_DIALECT")
        pace = environ.get("SIMULATOR_TOKENS_PER_SECOND") or str(TOKENS_PER_SECOND)
        return cls(
            port=read_port(environ.get("PORT") or str(PORT)),
            client_key=read_client_key(environ.get("RELAY_CLIENT_KEY") or CLIENT_KEY),
            upstream_url=read_base_url(upstream) if upstream else None,
            provider_key=key or (NO_KEY if upstream else None),
            parameters={  # of the template; the others keep their defaults
                "Providers": read_providers(environ.get("PROVIDERS") or ""),
                **({"ProviderDialect": dialect} if dialect else {}),
            },
            authorizer_ttl_seconds=read_number("AUTHORIZER_TTL_SECONDS", ttl) if ttl else None,
            tokens_per_second=read_number("SIMULATOR_TOKENS_PER_SECOND", pace, TOKENS_PER_SECOND),
        )

    @property
    def is_other_provider(self) -> bool:
        """Whether the provider is neither the simulator, the default one, nor from a list."""
        return self.upstream_url not in (None, PROVIDER_URL) and not self.parameters["Providers"]

    @property
    def provider(self) -> str:
        """The provider's description for people."""
        if listed := self.parameters.get("Providers"):
            names = ", ".join(str(entry.get("name")) for entry in json.loads(str(listed)))
            return f"{names}, from PROVIDERS"
        return self.upstream_url or "the simulator (set ABLIT_KEY to call the real one)"


def read_client_key(text: str) -> str:
    """Return a client key in the form that the authorizer accepts; ValueError for others."""
    if re.fullmatch(CLIENT_KEY_FORM, text):
        return text
    raise ValueError(
        "RELAY_CLIENT_KEY must have 20 to 128 characters: letters, digits and . _ ~ + / = -"
    )


def read_port(text: str) -> int:
    """Return a port number; ValueError with a message for the user."""
    if text.isdecimal() and int(text) <= 65535:  # noqa: PLR2004
        return int(text)
    raise ValueError(f"PORT={text} is not a port number; try: PORT=18080 make run")


def read_number(name: str, text: str, example: int = 300) -> float:
    """Return a whole number; ValueError with a message for the user."""
    if text.isdecimal():
        return float(text)
    raise ValueError(f"{name}={text} is not a whole number, like {example}")


def read_providers(text: str) -> str:
    """Return the list of providers without secret ARNs, which do not exist locally."""
    try:
        entries = json.loads(text or "[]")
    except ValueError as error:
        raise ValueError(f"PROVIDERS is not JSON: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("PROVIDERS is not a JSON array of objects; see docs/how-to/failover.md")
    for entry in entries:
        entry.pop("secret_arn", None)
    return json.dumps(entries) if text else ""


def read_base_url(url: str) -> str:
    """Return a provider's base URL; ValueError with a message for the user."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("UPSTREAM_BASE_URL must hold no user or password: ABLIT_KEY is the key")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"UPSTREAM_BASE_URL={url} is no URL; it looks like https://host/v1")
    return url

"""What may be said to the local stack, and what holds if nothing is said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.environments import CONCURRENCY_LIMIT

ROOT = Path(__file__).resolve().parent.parent
CLIENT_KEY = "sk-relay-local-000000000000000000000000"
PROVIDER_URL = "https://api.abliteration.ai/v1"
NO_KEY = "no-key-was-given"
PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a stack is to be; `upstream_url` None means the provider simulator."""

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

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings of `make run`; raises ValueError with a sentence for the user."""
        key = environ.get("ABLIT_KEY") or environ.get("ABLITERATION_API_KEY")
        upstream = environ.get("UPSTREAM_BASE_URL") or (PROVIDER_URL if key else None)
        # Another server is more likely to speak OpenAI's own dialect than our default provider's.
        likely = "openai" if environ.get("UPSTREAM_BASE_URL") else "abliteration"
        parameters = {
            "ProviderDialect": environ.get("PROVIDER_DIALECT") or likely,
            "Providers": environ.get("PROVIDERS") or "",
        }
        ttl = environ.get("AUTHORIZER_TTL_SECONDS")
        return cls(
            port=read_port(environ.get("PORT") or str(PORT)),
            client_key=environ.get("RELAY_CLIENT_KEY") or CLIENT_KEY,
            upstream_url=with_version(upstream) if upstream else None,
            provider_key=key or (NO_KEY if upstream else None),
            parameters=parameters,
            authorizer_ttl_seconds=read_seconds(ttl) if ttl else None,
        )


def read_port(text: str) -> int:
    """A port number; raises ValueError with a sentence for the user."""
    if text.isdecimal() and int(text) <= 65535:  # noqa: PLR2004
        return int(text)
    raise ValueError(f"PORT={text} is not a port number; try: PORT=18080 make run")


def read_seconds(text: str) -> float:
    """A number of seconds; raises ValueError with a sentence for the user."""
    if text.isdecimal():
        return float(text)
    raise ValueError(f"AUTHORIZER_TTL_SECONDS={text} is not a whole number of seconds, like 300")


def with_version(url: str) -> str:
    """A provider's base URL, ending in /v1."""
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else f"{bare}/v1"

"""Settings of the providers, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llm_relay.providers.dialects.dialect import Dialect, dialect_named
from llm_relay.transport.settings import TransportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """How a provider is reached and retried."""

    transport: TransportSettings
    dialect: Dialect
    first_byte_seconds: float  # timeout for an answer, retries included
    max_attempts: int
    max_wait_seconds: float  # a longer Retry-After is passed on to the caller
    keep_alive_seconds: float  # silence after which a stream gets a comment

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> ProviderSettings:
        """Read the settings; ValueError for an invalid number, base URL or dialect."""
        return cls(
            transport=TransportSettings.from_mapping(environ),
            dialect=dialect_named(environ.get("PROVIDER_DIALECT", "abliteration")),
            first_byte_seconds=float(environ.get("UPSTREAM_FIRST_BYTE_SECONDS", "280")),
            max_attempts=int(environ.get("UPSTREAM_MAX_ATTEMPTS", "3")),
            max_wait_seconds=float(environ.get("UPSTREAM_LONGEST_WAIT_SECONDS", "20")),
            keep_alive_seconds=float(environ.get("KEEP_ALIVE_SECONDS", "15")),
        )

    @property
    def max_silence_seconds(self) -> float:
        """The longest time without a byte from the provider."""
        return max(self.first_byte_seconds, self.transport.read_idle_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKeySettings:
    """Where the provider's key is stored."""

    secret_arn: str  # the name of a secret, never the secret
    key_for_sam_local: str | None

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> ProviderKeySettings:
        """Read the settings; a key in the environment is used under `sam local` only."""
        key = environ.get("ABLIT_KEY") or environ.get("ABLITERATION_API_KEY")
        return cls(
            secret_arn=environ.get("PROVIDER_KEY_SECRET_ARN", ""),
            key_for_sam_local=key if environ.get("AWS_SAM_LOCAL") else None,
        )

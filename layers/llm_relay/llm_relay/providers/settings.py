"""What the environment says, read once into frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_relay.providers.dialects.dialect import dialect_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.providers.dialects.dialect import Dialect

DEFAULT_BASE_URL = "https://api.abliteration.ai/v1"
_VERSION_SEGMENT = re.compile(r"/v\d")
NO_USER = "hold no user or password: the key goes into the secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Where the provider is, and how patient we are with it."""

    base_url: str  # ends in the API's version, without a slash
    dialect: Dialect
    connect_seconds: float  # also the longest time to send a request
    keep_seconds: float  # an idle connection is not used after that
    idle_seconds: float  # longest silence within an answer
    first_byte_seconds: float  # longest wait for an answer, retries included
    max_attempts: int
    longest_wait_seconds: float  # a longer Retry-After is handed to the caller
    keep_alive_seconds: float  # silence after which a stream gets a comment
    connections: int  # kept open at the most
    ca_bundle: str | None  # a file of certificates to trust in place of certifi's

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> UpstreamSettings:
        """Read the settings; ValueError for a number that is none or a dialect unknown."""
        return cls(
            base_url=with_version(environ.get("UPSTREAM_BASE_URL", DEFAULT_BASE_URL)),
            dialect=dialect_named(environ.get("PROVIDER_DIALECT", "abliteration")),
            connect_seconds=float(environ.get("UPSTREAM_CONNECT_SECONDS", "10")),
            # Servers hang up on idle connections after 5 s, or later.
            keep_seconds=float(environ.get("UPSTREAM_KEEP_SECONDS", "4")),
            # API Gateway gives up after 300 s without a byte.
            idle_seconds=float(environ.get("UPSTREAM_IDLE_SECONDS", "280")),
            first_byte_seconds=float(environ.get("UPSTREAM_FIRST_BYTE_SECONDS", "280")),
            max_attempts=int(environ.get("UPSTREAM_MAX_ATTEMPTS", "3")),
            longest_wait_seconds=float(environ.get("UPSTREAM_LONGEST_WAIT_SECONDS", "20")),
            keep_alive_seconds=float(environ.get("KEEP_ALIVE_SECONDS", "15")),
            connections=int(environ.get("UPSTREAM_CONNECTIONS", "10")),
            ca_bundle=environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKeySettings:
    """Where the provider's key is kept."""

    secret_arn: str  # the name of a secret, never the secret
    key_for_sam_local: str | None

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> ProviderKeySettings:
        """Read the settings; a key in the environment counts under `sam local` alone."""
        key = environ.get("ABLIT_KEY") or environ.get("ABLITERATION_API_KEY")
        return cls(
            secret_arn=environ.get("PROVIDER_KEY_SECRET_ARN", ""),
            key_for_sam_local=key if environ.get("AWS_SAM_LOCAL") else None,
        )


def with_version(base_url: str) -> str:
    """Return the base URL without a trailing slash, and with /v1 if it names no version.

    ValueError for one with a user or a password, as it is shown.
    """
    url = base_url.rstrip("/")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(f"the base URL must {NO_USER}")
    return url if _VERSION_SEGMENT.search(parts.path) else f"{url}/v1"

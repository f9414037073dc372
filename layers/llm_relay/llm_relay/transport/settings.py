"""Settings of the HTTP transport, read from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_BASE_URL = "https://api.abliteration.ai/v1"
NO_CREDENTIALS = "hold no user or password: the key goes into the secret"
_VERSION_SEGMENT = re.compile(r"/v\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Where a server is, and how connections to it are used."""

    base_url: str  # ends in the API's version, without a slash
    connect_seconds: float  # also the timeout for sending a request
    connection_idle_seconds: float  # a connection that was idle for longer is not reused
    read_idle_seconds: float  # maximum silence within an answer
    max_connections: int  # kept open
    ca_bundle: str | None  # certificates to trust instead of certifi's

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> TransportSettings:
        """Read the settings; ValueError for an invalid number or base URL."""
        return cls(
            base_url=with_version(environ.get("UPSTREAM_BASE_URL", DEFAULT_BASE_URL)),
            connect_seconds=float(environ.get("UPSTREAM_CONNECT_SECONDS", "10")),
            # Servers close idle connections after 5 s, or later.
            connection_idle_seconds=float(environ.get("UPSTREAM_KEEP_SECONDS", "4")),
            # API Gateway gives up after 300 s without a byte.
            read_idle_seconds=float(environ.get("UPSTREAM_IDLE_SECONDS", "280")),
            max_connections=int(environ.get("UPSTREAM_CONNECTIONS", "10")),
            ca_bundle=environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE"),
        )


def with_version(base_url: str) -> str:
    """Return the base URL without a trailing slash, and with /v1 if it names no version.

    ValueError for a URL with a user or password, as base URLs are displayed.
    """
    url = base_url.rstrip("/")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(f"the base URL must {NO_CREDENTIALS}")
    return url if _VERSION_SEGMENT.search(parts.path) else f"{url}/v1"

"""Makes boto3's clients without importing boto3 at start."""

from __future__ import annotations

from typing import Any


def boto3_client(service: str, **config: Any) -> Any:
    """Return a new client of a service; `config` is botocore's Config."""
    import boto3  # noqa: PLC0415 - takes a quarter of a second
    from botocore.config import Config  # noqa: PLC0415

    make_client: Any = boto3.client  # typed for literal names of services only
    return make_client(service, config=Config(**config))

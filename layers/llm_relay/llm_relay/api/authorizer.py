"""Client keys: what their form says, and whom they belong to.

API Gateway alone knows and compares their values; a key only names its client.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from functools import lru_cache
from typing import Any

# sk-relay-<client>-<serial>-<secret>, as `relay keys create` makes them.
_KEY = re.compile(r"sk-relay-(?P<client>[0-9a-f]{12})-(?P<serial>[0-9a-f]{4})-[A-Za-z0-9]{40}")

Item = dict[str, Any]


class Unauthorized(Exception):  # noqa: N818 - API Gateway turns this very word into a 401
    """The caller may not come in."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def authorize(event: dict[str, Any]) -> dict[str, Any]:
    """Answer API Gateway's TOKEN authorizer event; Unauthorized for a key that cannot be one.

    The key is handed back for API Gateway to check and count, with what its client may do.
    """
    kind, _, rest = event["authorizationToken"].partition(" ")
    token = rest.strip()
    if kind.lower() != "bearer" or not token:
        raise Unauthorized
    api_stage = "/".join(event["methodArn"].split("/")[:2])
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": f"{api_stage}/*/*",  # the policy is cached for every route of the stage
    }
    return {
        "principalId": hashlib.sha256(token.encode()).hexdigest()[:16],
        "usageIdentifierKey": token,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": _known_of(token),
    }


def _known_of(token: str) -> dict[str, str]:
    key = _KEY.fullmatch(token)
    if not key:
        return {}  # the stack's own first key: its usage plan is all there is to say
    profile = _profile(key["client"])
    serial = profile.get("keys", {}).get("M", {}).get(key["serial"], {}).get("M")
    if serial is None or _has_died(serial):
        raise Unauthorized
    numbers = {
        name: profile.get(name, {}).get("N") for name in ("budget_nanos", "max_output_tokens")
    }
    models = [each["S"] for each in profile.get("models", {}).get("L", [])]
    known = numbers | {"budget_per": profile.get("budget_per", {}).get("S")}
    known["models"] = ",".join(models) or None
    return {"client": key["client"]} | {name: v for name, v in known.items() if v is not None}


def _has_died(serial: Item) -> bool:
    dies_at = serial.get("dies_at", {}).get("N")
    return dies_at is not None and float(dies_at) <= time.time()


def _profile(client: str) -> Item:
    key = {"pk": {"S": f"client#{client}"}, "sk": {"S": "profile"}}
    answer = _dynamodb().get_item(TableName=os.environ["CLIENTS_TABLE"], Key=key)
    profile: Item = answer.get("Item", {})
    return profile


@lru_cache(maxsize=1)
def _dynamodb() -> Any:
    import boto3  # noqa: PLC0415 - a quarter of a second that keys of no client need not wait
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
    return boto3.client("dynamodb", config=patience)

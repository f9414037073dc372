"""The Lambda authorizer: finds the client of a key and its limits.

Only API Gateway knows the values of keys, and compares them.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from functools import lru_cache
from typing import Any

# What a client's profile holds beside its limits.
_NOT_LIMITS = {"pk", "sk", "name", "created_at", "plan_id", "revoked_at", "keys"}
# sk-relay-<client>-<serial>-<secret>, as `relay keys create` creates them.
_KEY = re.compile(r"sk-relay-(?P<client>[0-9a-f]{12})-(?P<serial>[0-9a-f]{4})-[A-Za-z0-9]{40}")
_UNAUTHORIZED = "Unauthorized"  # API Gateway turns an error with this very message into a 401

Item = dict[str, Any]


def authorize(event: dict[str, Any]) -> dict[str, Any]:
    """Answer API Gateway's TOKEN authorizer event; PermissionError for an invalid or expired key.

    The answer has the key, for API Gateway to check and count, and its client's limits.
    """
    kind, _, rest = event["authorizationToken"].partition(" ")
    token = rest.strip()
    if kind.lower() != "bearer" or not token:
        raise PermissionError(_UNAUTHORIZED)
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
        "context": _context_of(token),
    }


def _context_of(token: str) -> dict[str, str]:
    key = _KEY.fullmatch(token)
    if not key:
        return {}  # the stack's first key has no profile: its usage plan holds its limits
    profile_key = {"pk": {"S": f"client#{key['client']}"}, "sk": {"S": "profile"}}
    answer = _dynamodb().get_item(TableName=os.environ["CLIENTS_TABLE"], Key=profile_key)
    profile: Item = answer.get("Item", {})
    serial = profile.get("keys", {}).get("M", {}).get(key["serial"], {}).get("M")
    if serial is None or _is_expired(serial):
        raise PermissionError(_UNAUTHORIZED)
    limits = {name: _text(value) for name, value in profile.items() if name not in _NOT_LIMITS}
    return {"client": key["client"]} | {name: text for name, text in limits.items() if text}


def _text(attribute: Item) -> str:
    """Return an attribute as text, which is all that a context can hold; lists with commas."""
    ((kind, value),) = attribute.items()
    return ",".join(each["S"] for each in value) if kind == "L" else str(value)


def _is_expired(serial: Item) -> bool:
    expires_at = serial.get("dies_at", {}).get("N")  # its stored name
    return expires_at is not None and float(expires_at) <= time.time()


@lru_cache(maxsize=1)
def _dynamodb() -> Any:
    from llm_relay.aws.boto3_client import boto3_client  # noqa: PLC0415 - the first key needs none

    retries = {"total_max_attempts": 2}
    return boto3_client("dynamodb", connect_timeout=1, read_timeout=1, retries=retries)

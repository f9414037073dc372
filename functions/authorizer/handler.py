"""Turns a caller's bearer token into the usage-plan key that API Gateway checks and counts."""

import hashlib
from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Let API Gateway decide: it knows the keys, and this function knows none."""
    kind, _, rest = event["authorizationToken"].partition(" ")
    token = rest.strip()
    if kind.lower() != "bearer" or not token:
        raise PermissionError("Unauthorized")  # the word that API Gateway turns into a 401
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
    }

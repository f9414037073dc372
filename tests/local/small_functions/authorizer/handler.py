"""Lets everybody in whose token does not say otherwise, and keeps count."""

import os
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    token = event["authorizationToken"].removeprefix("Bearer ")
    with (Path(os.environ["SCRATCH"]) / "authorizer-calls").open("a") as calls:
        calls.write(token + "\n")
    if token.endswith("-unauthorized"):
        raise Exception("Unauthorized")  # noqa: TRY002 - API Gateway wants these very words
    if token.endswith("-failing"):
        raise ValueError("not my day")
    effect = "Deny" if token.endswith("-denied") else "Allow"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": "arn:*/*/*"}
    return {
        "principalId": "a-caller",
        "usageIdentifierKey": token,
        "context": {"client": "small", "number": 7, "sure": True},
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }

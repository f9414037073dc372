"""Builds the Lambda proxy event of an HTTP request."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from local.api_gateway.authorizers import AuthorizerResult
from local.api_gateway.routes import Api, Route
from local.api_gateway.usage_plans import ClientKey
from local.cloudformation.intrinsics import ACCOUNT

DROPPED_HEADERS = {"connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"}


@dataclass(slots=True, kw_only=True)
class Call:
    """A request with its route and, once known, its caller."""

    request: web.Request
    api: Api
    route: Route
    path: str
    path_parameters: Mapping[str, str]
    id: str
    authorizer_result: AuthorizerResult | None = None
    key: ClientKey | None = None
    key_value: str | None = None


def proxy_event(call: Call, body: bytes) -> bytes:
    """Return the event as JSON."""
    headers = received_headers(call)
    query = group_by_name(list(call.request.query.items()))
    binary = call.api.is_binary(call.request.headers.get("Content-Type"))
    event = {
        "resource": call.route.resource,
        "path": call.path,
        "httpMethod": call.request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(call.path_parameters) or None,
        "stageVariables": None,
        "requestContext": request_context(call),
        "body": (base64.b64encode(body).decode() if binary else body.decode(errors="replace"))
        or None,
        "isBase64Encoded": binary,
    }
    return json.dumps(event, ensure_ascii=False).encode()


def request_context(call: Call) -> dict[str, Any]:
    """Return the event's `requestContext`."""
    now = datetime.now(UTC)
    request, route = call.request, call.route
    authorizer = (
        {"authorizer": dict(call.authorizer_result.context)} if call.authorizer_result else {}
    )
    return {
        **authorizer,
        "accountId": ACCOUNT,
        "apiId": call.api.id,
        "domainName": request.host,
        "extendedRequestId": call.id,
        "httpMethod": request.method,
        "identity": {
            "apiKey": call.key_value,
            "apiKeyId": call.key.id if call.key else None,
            "sourceIp": request.remote,
            "userAgent": request.headers.get("User-Agent"),
        },
        "path": f"/{call.api.stage}{call.path}",
        "protocol": "HTTP/1.1",
        "requestId": call.id,
        "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(time.time() * 1000),
        "resourcePath": route.resource,
        "stage": call.api.stage,
    }


def received_headers(call: Call) -> dict[str, list[str]]:
    """Return the request's headers without hop-by-hop ones and with API Gateway's own."""
    kept = [
        (name, value)
        for name, value in call.request.headers.items()
        if name.lower() not in DROPPED_HEADERS
    ]
    added = {
        "X-Amzn-Trace-Id": f"Root=1-{int(time.time()):08x}-{call.id.replace('-', '')[:24]}",
        "X-Forwarded-For": call.request.remote or "",
        "X-Forwarded-Port": str(call.request.url.port),
        "X-Forwarded-Proto": "http",
    }
    return group_by_name([*kept, *added.items()])


def group_by_name(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Group values by name, case-insensitively, with the first spelling."""
    spelling: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return groups

"""API Gateway's GetResources for running stacks, in front of moto."""

import json
import re
from collections.abc import Iterable
from typing import Any

from local.api_gateway.routes import Api, Route
from local.aws_emulator.lambda_api import Application

RESOURCES = re.compile(r"/restapis/(?P<id>[^/]+)/resources")


class ApiGateway:
    """WSGI middleware that answers GetResources for registered APIs."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._apis: dict[str, Api] = {}

    def serve(self, api: Api) -> None:
        """Register an API."""
        self._apis[api.id] = api

    def forget(self, api: Api) -> None:
        """Unregister an API."""
        self._apis.pop(api.id, None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        asked = RESOURCES.fullmatch(environ["PATH_INFO"])
        if not asked or asked["id"] not in self._apis:
            return self._application(environ, start_response)
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps({"item": resources(self._apis[asked["id"]])}).encode()]


def resources(api: Api) -> list[dict[str, Any]]:
    """Return every resource with its methods and integrations."""
    found: dict[str, dict[str, Any]] = {}
    for route in api.routes:
        resource = {"id": route.resource, "path": route.resource, "resourceMethods": {}}
        methods = found.setdefault(route.resource, resource)["resourceMethods"]
        methods[route.method] = {
            "httpMethod": route.method,
            "methodIntegration": integration(route),
        }
    return [*found.values()]


def integration(route: Route) -> dict[str, Any]:
    """Return the integration of a route."""
    return {
        "type": "AWS_PROXY",
        "uri": route.uri,
        "timeoutInMillis": round(route.timeout_seconds * 1000),
        "responseTransferMode": "STREAM" if route.streaming else "BUFFERED",
    }

"""Checks the order of timeouts: provider, function, API Gateway."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cli.aws.target_stack import Stack
from llm_relay.diagnostics.checklist import Finding, fail, ok
from llm_relay.providers.settings import ProviderSettings

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

IDLE_SECONDS = 300  # after which API Gateway cuts a silent stream
DEFAULT_MILLISECONDS = 29_000  # API Gateway's default timeout
FUNCTION = re.compile(r"/functions/(?P<arn>[^/]+)/(?P<streams>response-streaming-)?invocations$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the API with its timeout."""

    name: str
    function: str
    streams: bool
    seconds: float


def time_outs(stack: Stack) -> Finding:
    """Check the deployed timeouts of all routes."""
    client = stack.client("lambda")
    configuration = cache(lambda name: client.get_function_configuration(FunctionName=name))
    worker = configuration(stack.resource("JobWorkerFunction"))
    faults = [
        fault for route in _routes(stack) for fault in _faults(route, configuration(route.function))
    ]
    if _provider_timeout(worker) >= worker["Timeout"]:
        faults.append(
            f"The job worker waits {_provider_timeout(worker):g} s for the provider, more than its "
            "own timeout."
        )
    if faults:
        return fail(" ".join(faults), "Restore the template's values: sam deploy")
    return ok("provider < function < API Gateway, at every route")


def _routes(stack: Stack) -> Iterator[Route]:
    """Yield the API's routes that invoke a function."""
    pages = stack.client("apigateway").get_paginator("get_resources")
    for page in pages.paginate(restApiId=stack.resource("Api"), embed=["methods"]):
        for resource in page["items"]:
            for method, details in resource.get("resourceMethods", {}).items():
                integration = details.get("methodIntegration", {})
                if match := FUNCTION.search(integration.get("uri", "")):
                    yield Route(
                        name=f"{method} {resource.get('path')}",
                        function=match["arn"],
                        streams=bool(match["streams"]),
                        seconds=integration.get("timeoutInMillis", DEFAULT_MILLISECONDS) / 1000,
                    )


def _faults(route: Route, function: "FunctionConfigurationResponseTypeDef") -> Iterator[str]:
    """Yield the timeouts of a route that are in the wrong order."""
    seconds = function["Timeout"]
    if seconds >= route.seconds:
        yield (
            f"{route.name}: its function's timeout is {seconds} s, but API Gateway's is "
            f"{route.seconds:g} s."
        )
    if route.streams and _provider_timeout(function) >= min(seconds, IDLE_SECONDS):
        yield (
            f"{route.name}: the provider's timeout is {_provider_timeout(function):g} s, but the "
            f"function's is {seconds} s and API Gateway's idle timeout {IDLE_SECONDS} s."
        )


def _provider_timeout(function: "FunctionConfigurationResponseTypeDef") -> float:
    """Return how long a function waits for the provider's next byte, in seconds."""
    settings = ProviderSettings.from_mapping(function.get("Environment", {}).get("Variables", {}))
    return settings.max_silence_seconds

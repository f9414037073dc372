"""Whether each gives up before whoever waits for it does: provider, function, API Gateway."""

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
DEFAULT_MILLISECONDS = 29_000  # that API Gateway waits where nothing is said
FUNCTION = re.compile(r"/functions/(?P<arn>[^/]+)/(?P<streams>response-streaming-)?invocations$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the API, and how it waits for its function."""

    name: str
    function: str
    streams: bool
    seconds: float


def time_outs(stack: Stack) -> Finding:
    """Whether all are in their order, as they are deployed."""
    functions = stack.functions()
    look = cache(lambda name: functions.get_function_configuration(FunctionName=name))
    worker = look(stack.resource("JobWorkerFunction"))
    found = [late for route in routes(stack) for late in late_at(route, look(route.function))]
    if patience(worker) >= worker["Timeout"]:
        found.append(f"The job worker waits {patience(worker):g} s for the provider, and has less.")
    if found:
        return fail(" ".join(found), "Put the template's own values back: sam deploy")
    return ok("provider < function < API Gateway, at every route")


def routes(stack: Stack) -> Iterator[Route]:
    """Every route of the stack's API that calls a function."""
    pages = stack.api_gateway().get_paginator("get_resources")
    for page in pages.paginate(restApiId=stack.resource("Api"), embed=["methods"]):
        for resource in page["items"]:
            for method, details in resource.get("resourceMethods", {}).items():
                integration = details.get("methodIntegration", {})
                if found := FUNCTION.search(integration.get("uri", "")):
                    yield Route(
                        name=f"{method} {resource.get('path')}",
                        function=found["arn"],
                        streams=bool(found["streams"]),
                        seconds=integration.get("timeoutInMillis", DEFAULT_MILLISECONDS) / 1000,
                    )


def late_at(route: Route, function: "FunctionConfigurationResponseTypeDef") -> Iterator[str]:
    """What is out of order at one route."""
    seconds = function["Timeout"]
    if seconds >= route.seconds:
        yield (
            f"{route.name}: its function may work for {seconds} s, and API Gateway waits "
            f"{route.seconds:g} s."
        )
    if route.streams and patience(function) >= min(seconds, IDLE_SECONDS):
        yield (
            f"{route.name}: the provider is waited for {patience(function):g} s, and the function "
            f"has {seconds} s, API Gateway {IDLE_SECONDS} s until the first byte."
        )


def patience(function: "FunctionConfigurationResponseTypeDef") -> float:
    """How long a function waits for the provider's next byte, by its own variables."""
    settings = ProviderSettings.from_mapping(function.get("Environment", {}).get("Variables", {}))
    return settings.max_silence_seconds

"""The REST API of the template, and route matching."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.template import Template

AUTHORIZER = "x-amazon-apigateway-authorizer"
INTEGRATION = "x-amazon-apigateway-integration"
FUNCTION_URI = re.compile(
    r"/functions/(?P<arn>(?:[^:/]+:){6}[^:/]+)(?::[^:/]+)?"
    r"/(?:response-streaming-)?invocations$"
)
PATH_PARAMETER = re.compile(r"\\\{(?P<name>\w+)(?P<greedy>\\\+)?\\\}")  # after re.escape
API_KEY = "api_key"
DEFAULT_TIMEOUT_MILLISECONDS = 29_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Steady requests per second, and the burst."""

    rate: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAuthorizer:
    """A TOKEN authorizer: its function and header."""

    name: str
    function: str
    header: str
    expression: re.Pattern[str]
    ttl_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one resource, and its integration."""

    method: str
    resource: str
    path: re.Pattern[str]  # with a group for each path parameter
    function: str
    uri: str  # of the integration
    streaming: bool
    timeout_seconds: float
    authorizer: TokenAuthorizer | None
    needs_api_key: bool
    throttle: Throttle | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A REST API on its stage."""

    id: str
    stage: str
    key_from_authorizer: bool
    routes: tuple[Route, ...]
    gateway_responses: Mapping[str, Any]
    binary_media_types: tuple[str, ...] = ()

    def is_binary(self, header: str | None) -> bool:
        """Return whether the first media type of a Content-Type or Accept header is binary."""
        media_type = re.split("[,;]", header or "application/json")[0].strip().lower()
        return any(fnmatchcase(media_type, pattern) for pattern in self.binary_media_types)

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the most specific matching route and its path parameters."""
        for route in self.routes:
            found = route.path.fullmatch(path.strip("/"))
            if found and route.method in {method, "ANY"}:
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        return None


def path_pattern(resource: str) -> re.Pattern[str]:
    """Return the pattern of a resource's paths, without outer slashes."""

    def group(parameter: re.Match[str]) -> str:
        return f"(?P<{parameter['name']}>{'.+' if parameter['greedy'] else '[^/]+'})"

    return re.compile(PATH_PARAMETER.sub(group, re.escape(resource.strip("/"))))


def specificity(route: Route) -> list[int]:
    """Sort key: literal segments before parameters, parameters before greedy ones."""
    return [("{" in segment) + ("+}" in segment) for segment in route.resource.split("/")]


def read_api(template: Template) -> Api:
    """Read the template's REST API; UnresolvableError for unsupported features."""
    logical_id = only_resource(template, "AWS::ApiGateway::RestApi")
    stage = template.properties(only_resource(template, "AWS::ApiGateway::Stage"))
    properties = template.properties(logical_id)
    functions = {spec.arn: spec.logical_id for spec in template.functions()}
    body = properties["Body"]
    return Api(
        id=template.ref(logical_id),
        stage=stage["StageName"],
        key_from_authorizer=properties.get("ApiKeySourceType") == "AUTHORIZER",
        routes=tuple(sorted(read_routes(body, stage, functions), key=specificity)),
        gateway_responses=body.get("x-amazon-apigateway-gateway-responses", {}),
        binary_media_types=tuple(body.get("x-amazon-apigateway-binary-media-types", [])),
    )


def only_resource(template: Template, kind: str) -> str:
    """Return the logical id of the only resource of a type."""
    names = list(template.ids(kind))
    if len(names) != 1:
        raise UnresolvableError(f"the local stack serves one {kind}, the template has {len(names)}")
    return names[0]


def read_routes(
    body: Mapping[str, Any], stage: Mapping[str, Any], functions: Mapping[str, str]
) -> Iterator[Route]:
    """Yield the routes of an OpenAPI document (2 or 3)."""
    schemes = body.get("components", {}).get("securitySchemes", body.get("securityDefinitions", {}))
    authorizers = {
        name: read_authorizer(name, scheme, functions)
        for name, scheme in schemes.items()
        if AUTHORIZER in scheme
    }
    throttles = {
        (setting["HttpMethod"], setting["ResourcePath"]): Throttle(
            rate=setting["ThrottlingRateLimit"], burst=setting["ThrottlingBurstLimit"]
        )
        for setting in stage.get("MethodSettings", [])
        if "ThrottlingRateLimit" in setting
    }
    for resource, operations in body["paths"].items():
        for method, operation in operations.items():
            integration = operation[INTEGRATION]
            if integration["type"] != "aws_proxy":
                raise UnresolvableError(f"{method} {resource}: only Lambda proxies are served here")
            names = [name for scheme in operation.get("security", []) for name in scheme]
            if unknown := {*names} - {*authorizers, API_KEY}:
                raise UnresolvableError(f"{method} {resource}: no authorizer {', '.join(unknown)}")
            timeout = integration.get("timeoutInMillis", DEFAULT_TIMEOUT_MILLISECONDS)
            yield Route(
                method=method.upper().replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY"),
                resource=resource,
                path=path_pattern(resource),
                function=function_of_uri(integration["uri"], functions),
                uri=integration["uri"],
                streaming=integration.get("responseTransferMode") == "STREAM",
                timeout_seconds=timeout / 1000,
                authorizer=next((authorizers[name] for name in names if name in authorizers), None),
                needs_api_key=API_KEY in names,
                throttle=throttles.get((method.upper(), resource)),
            )


def read_authorizer(
    name: str, scheme: Mapping[str, Any], functions: Mapping[str, str]
) -> TokenAuthorizer:
    """Read one authorizer of an OpenAPI document."""
    details = scheme[AUTHORIZER]
    if details["type"] != "token":
        raise UnresolvableError(f"{name}: only TOKEN authorizers are served here")
    return TokenAuthorizer(
        name=name,
        function=function_of_uri(details["authorizerUri"], functions),
        header=scheme["name"],
        expression=re.compile(details.get("identityValidationExpression", ".*")),
        ttl_seconds=details.get("authorizerResultTtlInSeconds", 300),
    )


def function_of_uri(uri: str, functions: Mapping[str, str]) -> str:
    """Return the logical id of the function in an integration's URI."""
    match = FUNCTION_URI.search(uri)
    if not match or match["arn"] not in functions:
        raise UnresolvableError(f"no function of the template answers {uri}")
    return functions[match["arn"]]

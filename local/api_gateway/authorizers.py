"""Lambda authorizers: invokes the function, caches its policy per token, and evaluates it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from local.api_gateway.gateway_responses import GatewayError
from local.api_gateway.routes import TokenAuthorizer
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import FunctionFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerResult:
    """An authorizer's result for a token."""

    policy: Mapping[str, Any]
    context: Mapping[str, str]
    usage_key: str | None


class Authorizers:
    """The authorizers of an API."""

    def __init__(self, functions: Mapping[str, LambdaFunction], ttl_seconds: float | None) -> None:
        self._functions = functions
        self._ttl_seconds = ttl_seconds  # in place of the template's, if given
        self._cache: dict[tuple[str, str], tuple[float, AuthorizerResult]] = {}

    async def authorize(
        self, authorizer: TokenAuthorizer, headers: Mapping[str, str], method_arn: str
    ) -> AuthorizerResult:
        """Return the authorizer's result for a request; GatewayError if it is denied."""
        token = headers.get(authorizer.header, "")
        if not token or not authorizer.expression.match(token):
            raise GatewayError("UNAUTHORIZED")
        expires, result = self._cache.get((authorizer.name, token), (0.0, None))
        if result is None or expires <= time.monotonic():
            result = await self._invoke(authorizer, token, method_arn)
            ttl = authorizer.ttl_seconds if self._ttl_seconds is None else self._ttl_seconds
            expires = time.monotonic() + ttl
            self._cache[authorizer.name, token] = (expires, result)
        if not allows(result.policy, method_arn):
            raise GatewayError("ACCESS_DENIED")
        return result

    async def _invoke(
        self, authorizer: TokenAuthorizer, token: str, method_arn: str
    ) -> AuthorizerResult:
        event = {"type": "TOKEN", "methodArn": method_arn, "authorizationToken": token}
        function = self._functions[authorizer.function]
        try:
            answer = await function.invoke(json.dumps(event).encode()).read()
        except FunctionFailedError as error:
            refused = error.message == "Unauthorized"
            raise GatewayError("UNAUTHORIZED" if refused else "AUTHORIZER_FAILURE") from error
        return parse_result(answer)


def parse_result(answer: bytes) -> AuthorizerResult:
    """Parse an authorizer's answer; GatewayError if it is malformed."""
    try:
        result = json.loads(answer)
        context = context_strings(result.get("context") or {})
        return AuthorizerResult(
            policy=result["policyDocument"],
            context={"principalId": result["principalId"], **context},
            usage_key=result.get("usageIdentifierKey"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR") from error


def context_strings(context: Mapping[str, Any]) -> dict[str, str]:
    """Return context values as strings, as API Gateway does; TypeError for nested values."""
    if any(isinstance(value, list | dict) for value in context.values()):
        raise TypeError("an authorizer's context holds strings, numbers and booleans only")
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in context.items()
    }


def allows(policy: Mapping[str, Any], method_arn: str) -> bool:
    """Return whether a policy allows a method: allowed by a statement and denied by none."""
    effects = {
        statement["Effect"]
        for statement in policy.get("Statement", [])
        if matches_any(statement["Action"], "execute-api:Invoke", str.lower)
        and matches_any(statement["Resource"], method_arn, str)
    }
    return effects == {"Allow"}


def matches_any(patterns: str | list[str], value: str, fold: Callable[[str], str]) -> bool:
    """Return whether one of a statement's patterns, with * and ?, matches a value."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(fold(value), fold(pattern).replace("[", "[[]")) for pattern in listed)

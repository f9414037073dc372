"""Lambda authorizers: asks the function once per token, remembers, and reads its policy."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from local.api_gateway.gateway_responses import RefusedError
from local.api_gateway.routes import TokenAuthorizer
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import FunctionFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an authorizer said of a token."""

    policy: Mapping[str, Any]
    context: Mapping[str, str]
    usage_key: str | None


class Authorizers:
    """The authorizers of an API."""

    def __init__(
        self,
        functions: Mapping[str, LambdaFunction],
        ttl_seconds: float | None = None,  # in place of what the template says
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._functions, self._ttl_seconds, self._clock = functions, ttl_seconds, clock
        self._remembered: dict[tuple[str, str], tuple[float, Verdict]] = {}

    async def judge(
        self, authorizer: TokenAuthorizer, headers: Mapping[str, str], method_arn: str
    ) -> Verdict:
        """What the authorizer says of a request; raises RefusedError if it may not pass."""
        token = headers.get(authorizer.header, "")
        if not token or not authorizer.expression.match(token):
            raise RefusedError("UNAUTHORIZED")
        expires, verdict = self._remembered.get((authorizer.name, token), (0.0, None))
        if verdict is None or expires <= self._clock():
            verdict = await self._ask(authorizer, token, method_arn)
            ttl = authorizer.ttl_seconds if self._ttl_seconds is None else self._ttl_seconds
            expires = self._clock() + ttl
            self._remembered[authorizer.name, token] = (expires, verdict)
        if not allows(verdict.policy, method_arn):
            raise RefusedError("ACCESS_DENIED")
        return verdict

    async def _ask(self, authorizer: TokenAuthorizer, token: str, method_arn: str) -> Verdict:
        event = {"type": "TOKEN", "methodArn": method_arn, "authorizationToken": token}
        function = self._functions[authorizer.function]
        try:
            answer = await function.invoke(json.dumps(event).encode()).read()
        except FunctionFailedError as error:
            refused = error.message == "Unauthorized"
            raise RefusedError("UNAUTHORIZED" if refused else "AUTHORIZER_FAILURE") from error
        return read_verdict(answer)


def read_verdict(answer: bytes) -> Verdict:
    """An authorizer's answer; raises RefusedError if it is not one."""
    try:
        said = json.loads(answer)
        return Verdict(
            policy=said["policyDocument"],
            context={"principalId": said["principalId"], **texts(said.get("context") or {})},
            usage_key=said.get("usageIdentifierKey"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError("AUTHORIZER_CONFIGURATION_ERROR") from error


def texts(context: Mapping[str, Any]) -> dict[str, str]:
    """Context values as API Gateway hands them on: strings; raises TypeError for anything deep."""
    if any(isinstance(value, list | dict) for value in context.values()):
        raise TypeError("an authorizer's context holds strings, numbers and booleans only")
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in context.items()
    }


def allows(policy: Mapping[str, Any], method_arn: str) -> bool:
    """Whether a policy lets a method be called: allowed by a statement and denied by none."""
    effects = {
        statement["Effect"]
        for statement in policy.get("Statement", [])
        if fits(statement["Action"], "execute-api:Invoke", str.lower)
        and fits(statement["Resource"], method_arn, str)
    }
    return effects == {"Allow"}


def fits(patterns: str | list[str], value: str, fold: Callable[[str], str]) -> bool:
    """Whether one of a statement's patterns, with * and ?, stands for a value."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(fold(value), fold(pattern).replace("[", "[[]")) for pattern in listed)

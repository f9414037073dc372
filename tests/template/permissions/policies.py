"""What IAM would say of a call: as much of its rules as our policies use, and an error for more."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from local.cloudformation.template import Template

Json = Mapping[str, Any]
KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}
LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
TRACES = [
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
]
MANAGED_BY_AWS: Mapping[str, Json] = {
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole": {
        "Effect": "Allow",
        "Action": LOGS,
        "Resource": "*",
    },
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess": {
        "Effect": "Allow",
        "Action": TRACES,
        "Resource": "*",
    },
}
# The one key of each service that our conditions look at.
CONDITION_KEYS = {
    "dynamodb": "dynamodb:LeadingKeys",
    "events": "events:source",
}


class UnknownPolicyError(ValueError):
    """A policy uses a rule of IAM that is not known here; the message names it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call as IAM sees it.

    `keys` are the partition keys of the items it is about, or the sources of its events.
    """

    action: str
    resource: str
    keys: tuple[str, ...] = ()

    @property
    def context(self) -> dict[str, tuple[str, ...]]:
        """The values that a policy's conditions may look at."""
        name = CONDITION_KEYS.get(self.action.partition(":")[0].lower())
        return {name: self.keys} if name and self.keys else {}


@dataclass(frozen=True, slots=True)
class Role:
    """What one function, state machine or rule may do."""

    statements: list[Json] = field(default_factory=list)

    def allows(self, request: Request) -> bool:
        """Whether a statement allows a call and none denies it."""
        effects = {s["Effect"] for s in self.statements if applies(s, request)}
        return effects == {"Allow"}


def role_of(template: Template, holder: str) -> Role:
    """The role of a function or a state machine as it is translated, or a role by its own name."""
    name = role_name(template, holder)
    properties = template.properties(name)
    arns, ours = properties.get("ManagedPolicyArns", []), managed_by_us(template)
    if unknown := {*arns} - {*MANAGED_BY_AWS} - {*ours}:
        raise UnknownPolicyError(f"managed policies {unknown}")
    managed = [MANAGED_BY_AWS[arn] for arn in arns if arn in MANAGED_BY_AWS]
    shared = [ours[arn] for arn in arns if arn in ours]
    own = properties.get("Policies") or []
    policies = [*own, *attached(template, template.ref(name)), *shared]
    found = [as_statements(policy["PolicyDocument"]["Statement"]) for policy in policies]
    return Role([*managed, *(statement for policy in found for statement in policy)])


def role_name(template: Template, holder: str) -> str:
    """Logical id of the role that something has."""
    resource = template.document["Resources"][holder]
    if resource["Type"] == "AWS::IAM::Role":
        return holder
    properties = resource["Properties"]
    return str((properties.get("Role") or properties["RoleArn"])["Fn::GetAtt"][0])


def managed_by_us(template: Template) -> dict[str, Json]:
    """The policies that several roles share, by their ARNs."""
    names = template.ids("AWS::IAM::ManagedPolicy")
    return {template.ref(name): template.properties(name) for name in names}


def attached(template: Template, role: str) -> list[Json]:
    """The policies that are resources of their own and are a role's."""
    policies = map(template.properties, template.ids("AWS::IAM::Policy"))
    return [policy for policy in policies if role in policy["Roles"]]


def applies(statement: Json, request: Request) -> bool:
    """Whether a statement is about a call."""
    if unknown := statement.keys() - KNOWN:
        raise UnknownPolicyError(f"elements {unknown}")
    return (
        matches(request.action.lower(), (a.lower() for a in as_list(statement["Action"])))
        and matches(request.resource, as_list(statement["Resource"]))
        and all(
            holds(operator, patterns, request.context.get(key, ()))
            for operator, tests in statement.get("Condition", {}).items()
            for key, patterns in tests.items()
        )
    )


def holds(operator: str, patterns: str | list[str], values: tuple[str, ...]) -> bool:
    """Whether a condition is met by the values of its key, of which a call may have none."""
    rules: Mapping[str, Callable[[], bool]] = {
        "StringEquals": lambda: len(values) == 1 and values[0] in as_list(patterns),
        "StringLike": lambda: len(values) == 1 and matches(values[0], as_list(patterns)),
        # Met by no values at all, which is IAM's own trap.
        "ForAllValues:StringLike": lambda: all(matches(v, as_list(patterns)) for v in values),
    }
    if operator not in rules:
        raise UnknownPolicyError(f"condition {operator}")
    return rules[operator]()


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns, with * and ?, stands for a value."""
    return any(expression(pattern).fullmatch(value) for pattern in patterns)


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of IAM as a regular expression."""
    if "${" in pattern:
        raise UnknownPolicyError(f"variable in {pattern}")
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def as_list(value: str | list[str]) -> list[str]:
    """One pattern or several, as several."""
    return [value] if isinstance(value, str) else value


def as_statements(statements: Json | list[Json]) -> list[Json]:
    """One statement or several, as several."""
    return statements if isinstance(statements, list) else [statements]

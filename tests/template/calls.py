"""A kind of call of AWS, as a list of them says it, and as IAM sees it."""

from dataclasses import dataclass

from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.cloudformation.template import Template
from tests.template.permissions.policies import Request, matches

CLIENT = "0123456789ab"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
ON_BUCKETS = {"s3:ListBucket"}
ON_EXECUTIONS = {"states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"}


@dataclass(frozen=True, slots=True)
class Needed:
    """A call that is made: on what (a logical id), on which keys, and where in the layer.

    `key` is a pattern for the partition key, for the object's key or for the source of events.
    `unseen` says why the recording does not see it.
    """

    action: str
    target: str
    key: str = ""
    module: str = ""
    unseen: str = ""
    given: str = ""  # a resource without which the call is not made


def arn(template: Template, target: str) -> str:
    """What is called, by its logical id; the default event bus has none."""
    if target == "ProviderKeySecret":
        return str(template.parameters["ProviderKeySecretArn"]) or template.ref(target)
    if target == "ProvidersPolicy":
        return str(template.parameters["ProviderSecretArns"][0])
    if target == "WebhookSecret":
        return template.ref(target)
    return template.attribute(target, "Arn") if target else BUS


def pattern_of(template: Template, call: Needed) -> Request:
    """A call as IAM sees it, with the stars of its key."""
    target = arn(template, call.target)
    if call.action in ON_EXECUTIONS:
        return Request(call.action, target.replace(":stateMachine:", ":execution:") + ":*")
    if call.action.startswith("s3:") and call.action not in ON_BUCKETS:
        return Request(call.action, f"{target}/{call.key}")
    return Request(call.action, target, (call.key,) if call.key else ())


def made(template: Template, call: Needed) -> Request:
    """One call of this kind."""
    pattern = pattern_of(template, call)
    keys = tuple(key.replace("*", CLIENT) for key in pattern.keys)
    return Request(call.action, pattern.resource.replace("*", CLIENT), keys)


def covers(template: Template, call: Needed, request: Request) -> bool:
    """Whether a call is of this kind."""
    pattern = pattern_of(template, call)
    return (
        request.action == call.action
        and matches(request.resource, [pattern.resource])
        and (not pattern.keys or bool(request.keys))
        and all(matches(key, pattern.keys or ["*"]) for key in request.keys)
    )

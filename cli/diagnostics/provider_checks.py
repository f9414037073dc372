"""Runs the checks of DoctorFunction: secret and provider."""

import json
from typing import TYPE_CHECKING

from llm_relay.diagnostics.checklist import Checklist, Finding, fail, ok

if TYPE_CHECKING:
    from cli.aws.target_stack import Stack

FAILED = "FunctionError"


def inspect_provider(stack: "Stack", model: str | None, checks: Checklist) -> Finding:
    """Invoke the function and add its findings; return a finding about the invocation."""
    answer = stack.functions().invoke(
        FunctionName=stack.resource("DoctorFunction"), Payload=json.dumps({"model": model})
    )
    result = json.loads(answer["Payload"].read())
    if answer.get(FAILED):
        return fail(
            f"DoctorFunction failed ({result.get('errorType')}).",
            "See its log: sam logs --name DoctorFunction. Then deploy it again: sam deploy",
        )
    for check in result["checks"]:
        name = check.pop("name")
        checks.findings[name] = Finding(**check)
    return ok("DoctorFunction has answered")

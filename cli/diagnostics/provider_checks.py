"""What the stack's own DoctorFunction finds: secret and provider, which no laptop need see."""

import json
from typing import TYPE_CHECKING

from llm_relay.diagnostics.checklist import Checklist, Finding, fail, ok

if TYPE_CHECKING:
    from cli.aws.target_stack import Stack

FAILED = "FunctionError"


def inspect_provider(stack: "Stack", model: str | None, checks: Checklist) -> Finding:
    """Invokes the function, and puts what it found before the finding of how that went."""
    answer = stack.functions().invoke(
        FunctionName=stack.resource("DoctorFunction"), Payload=json.dumps({"model": model})
    )
    told = json.loads(answer["Payload"].read())
    if answer.get(FAILED):
        return fail(
            f"DoctorFunction broke off ({told.get('errorType')}).",
            "See its log: sam logs --name DoctorFunction. Then deploy it again: sam deploy",
        )
    for check in told["checks"]:
        name = check.pop("name")
        checks.findings[name] = Finding(**check)
    return ok("DoctorFunction has answered")

"""The checks of `relay doctor`, in order, with their prerequisites."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

import click
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.aws.errors import AWS_ERRORS, explain
from cli.aws.target_stack import Stack, target_stack
from cli.diagnostics.http_checks import HttpChecks
from cli.diagnostics.stack_checks import alarms, batches, queues, stack_status, timeouts
from llm_relay.diagnostics.checklist import Checklist, Finding, fail, not_checked, ok
from llm_relay.diagnostics.inspection import IN_LIST
from llm_relay.diagnostics.provider_findings import SET_KEY, SET_URL

MAY_NOT = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation")
NO_RETRIES = Config(read_timeout=120, retries={"total_max_attempts": 1})
LOCAL_FIXES = {  # in order: later patterns are parts of earlier ones
    re.escape(SET_URL): "restart with UPSTREAM_BASE_URL=https://... make run",
    re.escape(IN_LIST): "in the list, then: PROVIDERS='[...]' make run, and the rest as before",
    re.escape(SET_KEY): "restart with ABLIT_KEY=ak_... make run, and the rest as before",
    r"The stack's output ShowClientKey prints": "'make run' prints",
    r" \(in a VPC that requires a NAT gateway\)": "",
    r"sam logs --name \w+": "tail .relay-local.log",
    r"sam deploy\b(?! --)": "make run",
    r"relay (?=keys|provider-key)": "relay --local ",
}


class Checkup:
    """Runs all checks of a stack."""

    def __init__(self, client_key: str | None, model: str | None) -> None:
        self._client_key, self._model = client_key, model
        self._checks = Checklist()

    def run(self) -> Checklist:
        """Run all checks and return the findings."""
        self._checks.run("stack", partial(_guarded, lambda: stack_status(self._stack)))
        self._over_http("api", HttpChecks.health)
        self._over_http("client key", HttpChecks.accepts_key, "api")
        self._of_stack("inside", self._inside)
        found, of_provider = self._checks.findings, ("provider key", "model", "rate limit")
        self._over_http("call", HttpChecks.call, "client key", *of_provider)
        self._over_http("streaming", lambda http: http.stream(found.get("provider stream")), "call")
        self._over_http("clock", HttpChecks.clock, "api")
        self._of_stack("time-outs", timeouts)
        self._over_http("budget", HttpChecks.budget, "client key")
        self._of_stack("queues", queues)
        self._of_stack("batches", batches)
        self._of_stack("alarms", alarms)
        return self._checks

    def _of_stack(self, name: str, check: Callable[[Stack], Finding]) -> None:
        self._checks.run(name, partial(_guarded, lambda: check(self._stack)), "stack")

    def _over_http(self, name: str, check: Callable[[HttpChecks], Finding], *needs: str) -> None:
        self._checks.run(name, partial(_guarded, lambda: check(self._http)), "stack", *needs)

    def _inside(self, stack: Stack) -> Finding:
        """Add the findings of DoctorFunction; return one about its invocation."""
        client = stack.client("lambda", config=NO_RETRIES)
        answer = client.invoke(
            FunctionName=stack.resource("DoctorFunction"),
            Payload=json.dumps({"model": self._model}),
        )
        result = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            return fail(
                f"DoctorFunction failed ({result.get('errorType')}).",
                "See its log: sam logs --name DoctorFunction. Then deploy it again: sam deploy",
            )
        for check in result["checks"]:
            name = check.pop("name")
            self._checks.findings[name] = Finding(**check)
        return ok("DoctorFunction has answered")

    @cached_property
    def _stack(self) -> Stack:
        return target_stack()

    @cached_property
    def _http(self) -> HttpChecks:
        return HttpChecks(self._stack, self._client_key, self._model)


def _guarded(check: Callable[[], Finding]) -> Finding:
    """Return a check's finding, or a finding for the error that prevented it."""
    try:
        return check()
    except click.UsageError:
        raise
    except click.ClickException as error:
        says, _, fix = error.message.partition(": ")
        return fail(f"{says}.", fix or "Run 'sam deploy'.")
    except ClientError as error:
        if error.response["Error"]["Code"].startswith(MAY_NOT):
            return not_checked(explain(error))
        return fail("AWS rejected the call.", explain(error))
    except AWS_ERRORS as error:
        return fail("AWS could not be called.", explain(error))
    except requests.RequestException as error:
        return fail(
            f"The API does not answer ({type(error).__name__}).",
            "Check the network; 'make run' starts the local stack.",
        )


def with_local_fix(finding: Finding) -> Finding:
    """Return a finding with the fix for the local stack instead of a deployed one."""
    says, fix = finding.says, finding.fix
    for deployed, local in LOCAL_FIXES.items():
        says, fix = re.sub(deployed, local, says), fix and re.sub(deployed, local, fix)
    return replace(finding, says=says, fix=fix)

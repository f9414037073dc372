"""The checks of `relay doctor`, in order, with their prerequisites."""

from collections.abc import Callable
from functools import cached_property, partial

import click

from cli.aws.target_stack import Stack, stack_of
from cli.diagnostics.guard import guarded
from cli.diagnostics.http_checks import HttpChecks
from cli.diagnostics.provider_checks import inspect_provider
from cli.diagnostics.stack_checks import alarms, batches, queues, stack_status
from cli.diagnostics.timeouts import time_outs
from llm_relay.diagnostics.checklist import Checklist, Finding


class Checkup:
    """Runs all checks of a stack."""

    def __init__(self, context: click.Context, client_key: str | None, model: str | None) -> None:
        self._context, self._client_key, self._model = context, client_key, model
        self._checks = Checklist()

    def done(self) -> Checklist:
        """Run all checks and return the findings."""
        self._checks.run("stack", partial(guarded, lambda: stack_status(self._stack)))
        self._over_http("api", HttpChecks.health)
        self._over_http("client key", HttpChecks.accepts_key, "api")
        self._of_stack("inside", lambda stack: inspect_provider(stack, self._model, self._checks))
        self._over_http(
            "call", HttpChecks.call, "client key", "provider key", "model", "rate limit"
        )
        self._over_http("streaming", self._stream, "call")
        self._over_http("clock", HttpChecks.clock, "api")
        self._of_stack("time-outs", time_outs)
        self._over_http("budget", HttpChecks.budget, "client key")
        self._of_stack("queues", queues)
        self._of_stack("batches", batches)
        self._of_stack("alarms", alarms)
        return self._checks

    def _of_stack(self, name: str, look: Callable[[Stack], Finding]) -> None:
        self._checks.run(name, partial(guarded, lambda: look(self._stack)), "stack")

    def _over_http(self, name: str, look: Callable[[HttpChecks], Finding], *needs: str) -> None:
        self._checks.run(name, partial(guarded, lambda: look(self._http)), "stack", *needs)

    def _stream(self, http: HttpChecks) -> Finding:
        return http.stream(self._checks.findings.get("provider stream"))

    @cached_property
    def _stack(self) -> Stack:
        return stack_of(self._context)

    @cached_property
    def _http(self) -> HttpChecks:
        return HttpChecks(self._stack, self._client_key, self._model)

"""The order in which `relay doctor` looks at things, and which of them needs which."""

from collections.abc import Callable
from functools import cached_property, partial

import click

from cli.aws.target_stack import Stack, stack_of
from cli.diagnostics.guard import guarded
from cli.diagnostics.http_checks import HttpChecks
from cli.diagnostics.provider_checks import inspect_provider
from cli.diagnostics.stack_checks import alarms, batches, queues, standing
from cli.diagnostics.timeouts import time_outs
from llm_relay.diagnostics.checklist import Checklist, Finding


class Checkup:
    """One walk, from the outside to the inside and back."""

    def __init__(self, context: click.Context, client_key: str | None, model: str | None) -> None:
        self._context, self._client_key, self._model = context, client_key, model
        self._checks = Checklist()

    def done(self) -> Checklist:
        """What was found, once everything has been looked at."""
        self._checks.run("stack", partial(guarded, lambda: standing(self._stack)))
        self._at_door("api", HttpChecks.health)
        self._at_door("client key", HttpChecks.accepts_key, "api")
        self._of_stack("inside", lambda stack: inspect_provider(stack, self._model, self._checks))
        self._at_door("call", HttpChecks.call, "client key", "provider key", "model", "rate limit")
        self._at_door("streaming", self._stream, "call")
        self._at_door("clock", HttpChecks.clock, "api")
        self._of_stack("time-outs", time_outs)
        self._at_door("budget", HttpChecks.budget, "client key")
        self._of_stack("queues", queues)
        self._of_stack("batches", batches)
        self._of_stack("alarms", alarms)
        return self._checks

    def _of_stack(self, name: str, look: Callable[[Stack], Finding]) -> None:
        self._checks.run(name, partial(guarded, lambda: look(self._stack)), "stack")

    def _at_door(self, name: str, look: Callable[[HttpChecks], Finding], *needs: str) -> None:
        self._checks.run(name, partial(guarded, lambda: look(self._door)), "stack", *needs)

    def _stream(self, door: HttpChecks) -> Finding:
        return door.stream(self._checks.findings.get("provider stream"))

    @cached_property
    def _stack(self) -> Stack:
        return stack_of(self._context)

    @cached_property
    def _door(self) -> HttpChecks:
        return HttpChecks(self._stack, self._client_key, self._model)

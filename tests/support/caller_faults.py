"""Random faults that do not depend on the order of threads: each caller has its own sequence."""

from __future__ import annotations

import random
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HEADER = "x-test-caller"
_CALLER = ContextVar("caller", default="")


class CallerFaults:
    """The next fault of each name; the same seed gives the same sequence for the same name."""

    def __init__(self, seed: object, choices: Sequence[str | None]) -> None:
        self._seed = seed
        self._choices = choices
        self._by_name: dict[str, random.Random] = {}

    def __call__(self, name: str) -> str | None:
        """Return the fault that the next request of this name meets, if any."""
        if name not in self._by_name:
            self._by_name[name] = random.Random(f"{self._seed} {name}")  # noqa: S311 - repeatable
        return self._by_name[name].choice(self._choices)


@contextmanager
def calling_as(name: str) -> Iterator[None]:
    """Let requests to AWS that this thread makes meanwhile carry the name of a caller."""
    token = _CALLER.set(name)
    try:
        yield
    finally:
        _CALLER.reset(token)


def send_caller(client: Any) -> None:
    """Have a client of boto3 say which caller it works for, in every attempt."""
    client.meta.events.register("before-send", _add_caller)


def caller_in(headers: Mapping[str, str]) -> str:
    """Return the caller that a request was made for; empty if it does not say."""
    return headers.get(_HEADER, "")


def _add_caller(request: Any, **_: Any) -> None:
    if caller := _CALLER.get():
        request.headers[_HEADER] = caller

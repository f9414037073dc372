"""What DynamoDB does to calls that are on their way through the stack."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.aws_emulator.moto_server import moto
from tests.faults.aws.faults import (
    AWAY,
    CONFLICT,
    DENIED,
    LOST,
    SLOW,
    THROTTLED,
    UNHEARD,
    FaultyAws,
)
from tests.faults.fault import ANSWERED, REFUSED, Fault, Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tests.faults.fault import World

    Plan = Callable[[str], str | None]  # what an operation meets

RESERVE, SETTLE = "dynamodb.UpdateItem", "dynamodb.TransactWriteItems"


@contextmanager
def doors() -> Iterator[Mapping[str, FaultyAws]]:
    """The way of a stack's functions to DynamoDB."""
    with FaultyAws(moto().url) as door:
        yield {"dynamodb": door}


def through(doors: Mapping[str, FaultyAws]) -> dict[str, str]:
    """Return the environment of functions that go through doors."""
    return {f"AWS_ENDPOINT_URL_{service.upper()}": door.url for service, door in doors.items()}


def _amid(name: str, plan: Callable[[], Plan], honest: Outcomes) -> Fault:
    def around(world: World) -> AbstractContextManager[None]:
        return _failing(world.doors["dynamodb"], plan())

    return Fault(name=name, kind="DynamoDB", honest=honest, around=around)


def always(fault: str, operation: str) -> Callable[[], Plan]:
    """Have an operation fail as long as it lasts."""
    return lambda: lambda name: fault if name == operation else None


def twice(fault: str, operation: str) -> Callable[[], Plan]:
    """Have the first two tries fail; no client gives up before the third."""

    def plan() -> Plan:
        planned = iter([fault, fault])
        return lambda name: next(planned, None) if name == operation else None

    return plan


@contextmanager
def _failing(door: FaultyAws, fault: Plan) -> Iterator[None]:
    door.fault = fault
    try:
        yield
    finally:
        door.calm()


AWS_FAULTS = (
    *(
        _amid(f"nothing can be reserved: {fault}", always(fault, RESERVE), REFUSED)
        for fault in (AWAY, LOST, THROTTLED, DENIED)
    ),
    _amid("reservations get in each other's way", twice(CONFLICT, RESERVE), ANSWERED),
    _amid("reservations are unheard", twice(UNHEARD, RESERVE), ANSWERED),
    _amid("reservations take long", always(SLOW, RESERVE), ANSWERED),
    _amid("costs are charged unheard", always(UNHEARD, SETTLE), ANSWERED),
    _amid("costs are charged at the third try", twice(LOST, SETTLE), ANSWERED),
)

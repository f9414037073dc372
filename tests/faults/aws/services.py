"""What DynamoDB does to calls that are on their way through the stack."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.aws_emulator.moto_server import moto
from tests.faults.aws.faults import (
    CONFLICT,
    DENIED,
    RESET_AFTER_EXECUTION,
    RESET_BEFORE_EXECUTION,
    SLOW,
    THROTTLED,
    UNAVAILABLE,
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
def proxies() -> Iterator[Mapping[str, FaultyAws]]:
    """The way of a stack's functions to DynamoDB."""
    with FaultyAws(moto().url) as aws_proxy:
        yield {"dynamodb": aws_proxy}


def through(proxies: Mapping[str, FaultyAws]) -> dict[str, str]:
    """Return the environment of functions that use proxies."""
    return {
        f"AWS_ENDPOINT_URL_{service.upper()}": aws_proxy.url
        for service, aws_proxy in proxies.items()
    }


def _amid(name: str, plan: Callable[[], Plan], allowed: Outcomes) -> Fault:
    def around(world: World) -> AbstractContextManager[None]:
        return _failing(world.proxies["dynamodb"], plan())

    return Fault(name=name, kind="DynamoDB", allowed=allowed, around=around)


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
def _failing(aws_proxy: FaultyAws, fault: Plan) -> Iterator[None]:
    aws_proxy.fault = fault
    try:
        yield
    finally:
        aws_proxy.clear_faults()


AWS_FAULTS = (
    *(
        _amid(f"nothing can be reserved: {fault}", always(fault, RESERVE), REFUSED)
        for fault in (UNAVAILABLE, RESET_BEFORE_EXECUTION, THROTTLED, DENIED)
    ),
    _amid("reservations get in each other's way", twice(CONFLICT, RESERVE), ANSWERED),
    _amid("replies to reservations are lost", twice(RESET_AFTER_EXECUTION, RESERVE), ANSWERED),
    _amid("reservations take long", always(SLOW, RESERVE), ANSWERED),
    _amid("replies to charges are lost", always(RESET_AFTER_EXECUTION, SETTLE), ANSWERED),
    _amid("costs are charged at the third try", twice(RESET_BEFORE_EXECUTION, SETTLE), ANSWERED),
)

"""Invariants under every fault; each function yields the violations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.environment import IDLE_SECONDS
from tests.faults.fault import Outcome
from tests.faults.provider.answers import ANSWER, PROMPT, PROVIDER_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.stack import Stack
    from tests.faults.fault import Fault, Outcomes
    from tests.faults.load.callers import CallResult
    from tests.faults.provider.faulty_provider import FaultyProvider

CANARIES = (PROVIDER_KEY, PROMPT, ANSWER.split()[0])
LONGEST_SECONDS = 60.0  # of any call: the relay times out after 8 s, and a machine may be busy
_SPARE_FILES = 2  # a connection may be opened again before the old one is collected
_LATE: Outcomes = frozenset({Outcome.REFUSED, Outcome.BROKE, Outcome.CUT})


def allowed_outcomes(fault: Fault, result: CallResult) -> Outcomes:
    """Return the allowed outcomes; a slow call may also have been given up."""
    return fault.allowed | _LATE if result.seconds >= IDLE_SECONDS else fault.allowed


def wrong_outcomes(
    results: Iterable[CallResult],
    around: Fault | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> Iterator[str]:
    """Yield calls with an outcome that is not allowed, or not in time."""
    for each in results:
        fault = around or each.question.fault
        if each.outcome not in allowed_outcomes(fault, each):
            yield f"{describe(each)} is not an allowed outcome"
        if each.seconds > longest_seconds:
            yield f"{describe(each)} took too long"


def wrong_billing(results: Iterable[CallResult], provider: FaultyProvider) -> Iterator[str]:
    """Yield calls that were billed twice, or billed although their callers got an error."""
    for each in results:
        times = provider.billed[each.question.name]
        if times > (0 if each.outcome == Outcome.REFUSED else 1):
            yield f"{describe(each)} was billed {times} times"
    yield from (f"the provider was asked for {path}" for path in provider.led_astray)


def wrong_charges(results: Iterable[CallResult], spent_nanos: int) -> Iterator[str]:
    """Yield a difference between an account and the costs of its calls."""
    expected = sum(each.charge_nanos for each in results)
    if spent_nanos != expected:
        yield f"the account shows {spent_nanos} nanodollars, the calls came to {expected}"


def printed(log: Path, *more: str) -> Iterator[str]:
    """Secrets, prompts and answers in what was printed."""
    text = log.read_bytes()
    for canary in (*CANARIES, *more):
        if canary.encode() in text:
            yield f"{canary[:12]}… was printed to {log.name}"


def describe(result: CallResult) -> str:
    """A call in a few words."""
    question = result.question
    kind = f"{question.form.surface}{', streamed' if question.form.streamed else ''}"
    return (
        f"{question.name} ({question.fault.name}; {kind}): {result.outcome.value}, {result.why}, "
        f"{result.seconds:.1f} s"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a function's process holds."""

    files: int
    threads: int
    megabytes: float


def processes(stack: Stack) -> dict[int, Process]:
    """Every process of the stack's functions, by its id."""
    ids = [pid for function in stack.functions.values() for pid in function.process_ids]
    found = {pid: _process(Path(f"/proc/{pid}")) for pid in ids}
    return {pid: process for pid, process in found.items() if process}


def _process(place: Path) -> Process | None:
    try:
        status = dict(
            line.split(":\t", 1)
            for line in (place / "status").read_text().splitlines()
            if ":\t" in line
        )
        return Process(
            files=len(list((place / "fd").iterdir())),
            threads=int(status["Threads"]),
            megabytes=int(status["VmRSS"].split()[0]) / 1024,
        )
    except (OSError, KeyError):
        return None  # it has ended


def kept(before: dict[int, Process], after: dict[int, Process]) -> Iterator[str]:
    """Processes that died, or that hold more than before."""
    for pid, first in before.items():
        last = after.get(pid)
        if last is None:
            yield f"process {pid} died"
        elif last.files > first.files + _SPARE_FILES:
            yield f"process {pid} has {last.files} files open, and had {first.files}"
        elif last.threads > first.threads:
            yield f"process {pid} has {last.threads} threads, and had {first.threads}"

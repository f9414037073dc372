"""`make soak`: a walk over every fault, then hundreds of callers at once for minutes.

    python -m tests.faults.load.soak --seed 1 --minutes 10 [--callers 200]

Walks for a third of that time before. Exits with 1 if anything that must hold did not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.faults.aws.services import AWS_FAULTS, proxies, through
from tests.faults.environment import world_in
from tests.faults.fault import Outcome
from tests.faults.invariants import kept, printed, processes
from tests.faults.load.leak_check import ResourceWatch
from tests.faults.load.load import Load
from tests.faults.provider.connection_faults import CONNECTION_FAULTS
from tests.faults.walk import InvariantBrokenError, Walk
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.walk import Outcomes

FEW_ENVIRONMENTS, ENVIRONMENTS = 4, 10  # of each function, in the walk and under load
ERROR_BUDGET = 0.005  # of the calls that meet no fault
MOST_SHOWN = 20
# With hundreds of callers on one machine, a second of silence is nothing.
LONGER_TIMEOUTS = {"UPSTREAM_IDLE_SECONDS": "3", "UPSTREAM_FIRST_BYTE_SECONDS": "30"}


def soak(console: Console, seed: int, minutes: float, callers: int) -> list[str]:
    """Do it; what did not hold."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with Progress(console=console) as bar:
        walk, wrong = walked(folder / "walk", seed, bar, minutes * 20)
        load, watch, more = loaded(folder / "load", seed, bar, minutes * 60, callers)
    show(console, f"a walk of {walk.steps} steps", walk.outcomes)
    show(console, f"load, {callers} callers and {load.batches} batches", load.outcomes)
    console.print(percentiles("answered whole", [result.seconds for result in load.sound]))
    streamed = [result.first_seconds for result in load.sound if result.question.form.streamed]
    console.print(percentiles("first byte of streams", streamed))
    console.print(watch.summary())
    if wrong + more:
        console.print(f"what the functions printed is in {folder}")
    else:
        shutil.rmtree(folder)
    return wrong + more


def walked(folder: Path, seed: int, bar: Progress, seconds: float) -> tuple[Walk, list[str]]:
    """Walk for so long; what did not hold."""
    folder.mkdir()
    with proxies() as found, world_in(folder, FEW_ENVIRONMENTS, through(found)) as open_world:
        world = replace(open_world, proxies=found)
        walk = Walk(world, seed, around=(*CONNECTION_FAULTS, *AWS_FAULTS))
        walk.warm_up()
        before = processes(world.stack)
        wrong = list(steps(walk, bar, seconds))
        walk.warm_up()
        with suppress(AssertionError):
            wait_until(lambda: not list(kept(before, processes(world.stack))))
        wrong += kept(before, processes(world.stack))
        wrong += printed(world.stack.settings.log, walk.client.key)
    return walk, wrong


def steps(walk: Walk, bar: Progress, seconds: float) -> Iterator[str]:
    """Volleys whose calls meet a fault each, and from time to time one that is around them all."""
    task, started = bar.add_task("walk", total=seconds), time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        bar.update(task, completed=passed, description=f"walk, step {walk.steps}")
        try:
            walk.volley()
            walk.volley()
            walk.volley_amid(walk.around[walk.steps // 3 % len(walk.around)])
        except InvariantBrokenError as error:
            yield str(error)
    bar.update(task, completed=seconds)


def loaded(
    folder: Path, seed: int, bar: Progress, seconds: float, callers: int
) -> tuple[Load, ResourceWatch, list[str]]:
    """Have everyone call for so long; what did not hold."""
    folder.mkdir()
    with world_in(folder, ENVIRONMENTS, LONGER_TIMEOUTS) as world:
        Walk(world, seed).warm_up()
        load, watch = Load(world, seed, time.monotonic() + seconds), ResourceWatch(world.stack)
        task = bar.add_task("load", total=seconds)
        calling = threading.Thread(target=load.run, args=(callers,))
        calling.start()
        while calling.is_alive():
            left, count = load.ends - time.monotonic(), load.outcomes.total()
            bar.update(task, completed=seconds - max(0, left), description=f"load, {count} calls")
            watch.look()
            calling.join(2)
        wrong = [*load.wrong(), *watch.wrong(), *over_budget(load)]
        wrong += printed(world.stack.settings.log, *(client.key for client in load.clients))
    return load, watch, wrong


def over_budget(load: Load) -> Iterator[str]:
    """Too many calls that failed although they met no fault."""
    failed = Counter(result.why for result in load.sound if result.outcome != Outcome.ANSWERED)
    if failed.total() > ERROR_BUDGET * len(load.sound):
        yield f"{failed.total()} of {len(load.sound)} calls without a fault failed: {dict(failed)}"


def show(console: Console, title: str, outcomes: Outcomes) -> None:
    """A row for each kind of fault."""
    table = Table("fault", "calls", *(outcome.value for outcome in Outcome), title=title)
    for kind in sorted({kind for kind, _ in outcomes}):
        counts = [outcomes[kind, outcome] for outcome in Outcome]
        table.add_row(kind, str(sum(counts)), *(str(count or "") for count in counts))
    totals = [sum(n for (_, o), n in outcomes.items() if o == outcome) for outcome in Outcome]
    table.add_section()
    table.add_row("all", str(sum(totals)), *map(str, totals))
    console.print(table)


def percentiles(what: str, seconds: list[float]) -> str:
    """How long calls without a fault took."""
    if len(seconds) < 2:  # noqa: PLR2004
        return f"{what}: too few calls"
    at = quantiles(seconds, n=100, method="inclusive")
    shown = ", ".join(f"p{n} {at[n - 1]:.2f} s" for n in (50, 90, 99))
    return f"{what}: {shown}, longest {max(seconds):.2f} s ({len(seconds)} calls without a fault)"


def main(arguments: list[str]) -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.load.soak")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--callers", type=int, default=200)
    given = parser.parse_args(arguments)
    console = Console()
    console.print(f"seed {given.seed}, {given.minutes:g} minutes, {given.callers} callers")
    wrong = soak(console, given.seed, given.minutes, given.callers)
    for each in wrong[:MOST_SHOWN]:
        console.print(each, style="red", markup=False, highlight=False)
    summary = f"{len(wrong)} things did not hold" if wrong else "everything held"
    console.print(f"seed {given.seed}: {summary}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

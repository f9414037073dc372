"""Thousands of rows, a provider that fails in a tenth of its calls, and killed workers."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from local.settings import Settings
from local.stack import Stack
from tests.e2e.batch.batches import MODEL, by_custom_id, chat_row, ended, jsonl, submit
from tests.e2e.conftest import Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Loop

ROWS = int(os.environ.get("RELAY_FAULT_ROWS", "600"))
KILLS = max(1, ROWS // 2500)
SEED = 20261121
# What befalls one row in ten; the first three pass by themselves.
FAULTS = [
    "status=429;times=1;retry-after=missing",
    "status=429;times=1;retry-after=1",
    "status=500;times=1",
    "fault=reset",
    "fault=malformed",
    "fault=cut",
    "fault=stall",
]


def rows(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Rows that each name themselves to the provider, so that its calls can be counted."""
    for number in range(ROWS):
        fault = ";" + chance.choice(FAULTS) if chance.random() < 0.1 else ""
        yield chat_row(f"r{number}", "hi", f"{MODEL}@id=r{number};words=1{fault}")


class Killer:
    """Kills a worker from time to time, until it has killed enough."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self.kills = 0
        self._workers = stack.functions["BatchWorkerFunction"]
        self._chance = chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while self.kills < KILLS and not self._over.wait(self._chance.uniform(1, 4)):
            for victim in self._workers.process_ids[:1]:
                os.kill(victim, signal.SIGKILL)
                self.kills += 1


@pytest.fixture
def own_stack(loop: Loop, tmp_path: Path) -> Iterator[Running]:
    """A stack of its own, as its workers are killed."""
    short_timeouts = {"UPSTREAM_IDLE_SECONDS": "8"}  # a stalled row is over after that
    stack = Stack(Settings(log=tmp_path / "functions.log", environment=short_timeouts))
    loop.run(stack.__aenter__())
    yield Running(stack, tmp_path / "functions.log")
    loop.run(stack.__aexit__(None, None, None))


@pytest.mark.timeout(400)
def test_every_row_is_answered_once_whatever_fails_or_is_killed(
    own_stack: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a test that can be repeated
    content = jsonl(rows(chance))
    started = time.monotonic()
    # A retry starts the same batch, should a busy machine start its execution too late.
    with own_stack.client(max_retries=3) as client, Killer(own_stack.stack, chance) as killer:
        batch = ended(client, submit(client, content), 380)
        answered = by_custom_id(client, batch.output_file_id)
        failed = by_custom_id(client, batch.error_file_id)
    seconds = time.monotonic() - started
    names = {f"r{number}" for number in range(ROWS)}
    assert batch.status == "completed"
    assert answered.keys() | failed.keys() == names
    assert answered.keys().isdisjoint(failed)
    calls = Counter(
        call.switches["id"]
        for call in own_stack.provider.calls
        if call.status == 200 and "id" in call.switches
    )
    again = sum(count - 1 for count in calls.values())
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this test is for
            f"\n{ROWS} rows in {seconds:.0f} s, {len(failed)} in the error file, {killer.kills} "
            f"workers killed, {again} rows sent again ({again / ROWS:.2%})"
        )
    assert killer.kills > 0
    # A kill costs the rows in progress, which may be so many at once, however few rows there are.
    assert again < max(ROWS / 100, 128 * killer.kills)

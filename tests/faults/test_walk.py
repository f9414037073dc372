"""Every fault at the socket, against the running stack: each call ends in one allowed outcome.

`make soak SEED=… MINUTES=…` walks further; a failure names its seed and its step.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.catalogue import SCRIPTED
from tests.faults.environment import world_in
from tests.faults.invariants import kept, printed, processes
from tests.faults.walk import VOLLEY, Walk
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fault import World

SEED = int(os.environ.get("RELAY_SEED", "20261121"))
ENVIRONMENTS = 4  # of each function


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world"), ENVIRONMENTS) as world:
        yield world


@pytest.fixture(scope="module")
def walk(world: World) -> Walk:
    walk = Walk(world, SEED)
    walk.warm_up()
    return walk


def test_a_walk_over_every_fault_loses_leaks_and_double_bills_nothing(
    walk: Walk, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    before = processes(world.stack)
    for _ in range(-(-len(SCRIPTED) // VOLLEY)):
        walk.volley()
    for fault in walk.around:
        walk.volley_amid(fault)
    walk.warm_up()  # so that each holds what it held before
    wait_until(lambda: not list(kept(before, processes(world.stack))))
    assert not list(printed(world.stack.settings.log, walk.client.key))
    shown = "".join(capfd.readouterr())
    assert not any(
        canary in shown for canary in (walk.client.key, world.stack.settings.provider_key or "")
    )

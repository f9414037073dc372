"""Cold start: from the start of the process to the end of its first answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from bench.environment.answers import chat_question
from bench.environment.environment import World, event
from bench.report.figures import Figure, figure, ratios

if TYPE_CHECKING:
    from pathlib import Path

PEERS = {"cold_vs_guide": "guide", "cold_vs_openai_sdk": "openai", "cold_vs_litellm": "litellm"}


def cold(world: World) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of cold starts; slow peers are started less often."""
    installs = world.installs
    for name, peer in PEERS.items():
        turns = world.repeats if peer == "litellm" else 3 * world.repeats
        ours, theirs = [], []
        for _ in range(turns):
            ours.append(start_seconds(world, installs.relay))
            theirs.append(start_seconds(world, getattr(installs, peer)))
        milliseconds = {"relay_ms": 1000 * median(ours), f"{peer}_ms": 1000 * median(theirs)}
        yield name, figure(ratios(ours, theirs), milliseconds)


def start_seconds(world: World, folders: tuple[Path, ...]) -> float:
    """Start a function and return how long it took to its first answer."""
    with world.function(folders) as function:
        answered = function.invoke(event(chat_question()))
        seconds = time.perf_counter() - function.started
    if b"fox" not in answered.body:
        raise RuntimeError(f"No answer from {folders[0]}: {json.dumps(answered.body.decode())}")
    return seconds

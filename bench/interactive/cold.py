"""Cold start: from the start of the process to the end of its first answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from bench.environment.answers import chat_question
from bench.environment.environment import BenchContext, event
from bench.report.results import Measurement, ratios, summarize

if TYPE_CHECKING:
    from pathlib import Path

PEERS = {"cold_vs_guide": "guide", "cold_vs_openai_sdk": "openai", "cold_vs_litellm": "litellm"}


def cold(context: BenchContext) -> Iterator[tuple[str, Measurement]]:
    """Yield the measurements of cold starts; slow peers are started less often."""
    installs = context.installs
    for name, peer in PEERS.items():
        turns = context.repeats if peer == "litellm" else 3 * context.repeats
        ours, theirs = [], []
        for _ in range(turns):
            ours.append(start_seconds(context, installs.relay))
            theirs.append(start_seconds(context, getattr(installs, peer)))
        milliseconds = {"relay_ms": 1000 * median(ours), f"{peer}_ms": 1000 * median(theirs)}
        yield name, summarize(ratios(ours, theirs), milliseconds)


def start_seconds(context: BenchContext, folders: tuple[Path, ...]) -> float:
    """Start a function and return how long it took to its first answer."""
    with context.function(folders) as function:
        answered = function.invoke(event(chat_question()))
        seconds = time.perf_counter() - function.started
    if b"fox" not in answered.body:
        raise RuntimeError(f"No answer from {folders[0]}: {json.dumps(answered.body.decode())}")
    return seconds

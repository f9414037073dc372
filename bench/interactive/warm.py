"""A warm function: CPU per call, memory after many, and the size of what is shipped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from bench.environment.answers import chat_question
from bench.environment.environment import World, event
from bench.report.figures import Figure, figure, ratios

CALLS_PER_TURN = 100
CALLS_BEFORE, CALLS_AFTER = 100, 1000


def warm(world: World) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of one function that is used again and again."""
    yield "warm_cpu_vs_direct", cpu_vs_direct(world)
    yield from memory(world)
    files = (p for layer in world.installs.layers for p in layer.rglob("*") if p.is_file())
    yield "package_mb", figure([sum(path.stat().st_size for path in files) / 1e6])


def cpu_vs_direct(world: World) -> Figure:
    """Compare the handler with a bare session, in one process and in turns."""
    result, asked = world.scratch / "cpu.json", world.scratch / "event.json"
    asked.write_text(json.dumps(event(chat_question())))
    arguments = (result, asked, 3 * world.repeats, CALLS_PER_TURN)
    script = Path(__file__).with_name("in_process.py")
    run_with(world, world.installs.relay, script, *arguments)
    measured = json.loads(result.read_text())
    per_call = {f"{way}_ms": median(values) for way, values in measured.items()}
    return figure(ratios(measured["relay"], measured["direct"]), per_call)


def run_with(world: World, folders: tuple[Path, ...], script: Path, *arguments: object) -> None:
    """Run a script in the functions' Python, with some folders to import from."""
    path = os.pathsep.join(map(str, folders))
    command = [str(world.installs.python), "-P", str(script), *map(str, arguments)]
    environ = world.environ | {"PYTHONPATH": path}
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)  # noqa: S603


def memory(world: World) -> Iterator[tuple[str, Figure]]:
    """Yield the memory after many calls, whole ones and streams mixed, and how it grew."""
    questions = cycle([chat_question(), chat_question(20), chat_question(), chat_question(400)])
    with world.function(world.installs.relay) as function:
        for question in islice(questions, CALLS_BEFORE):
            function.invoke(event(question))
        before = function.resident_megabytes()
        for question in islice(questions, CALLS_AFTER - CALLS_BEFORE):
            function.invoke(event(question))
        after = function.resident_megabytes()
    yield "rss_mb", figure([after])
    yield "rss_growth_mb", figure([after - before])

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
from bench.environment.environment import BenchContext, event
from bench.report.results import Measurement, ratios, summarize

CALLS_PER_TURN = 100
CALLS_BEFORE, CALLS_AFTER = 100, 1000


def warm(context: BenchContext) -> Iterator[tuple[str, Measurement]]:
    """Yield the measurements of one function that is called repeatedly."""
    yield "warm_cpu_vs_direct", cpu_vs_direct(context)
    yield from memory(context)
    files = (p for layer in context.installs.layers for p in layer.rglob("*") if p.is_file())
    yield "package_mb", summarize([sum(path.stat().st_size for path in files) / 1e6])


def cpu_vs_direct(context: BenchContext) -> Measurement:
    """Compare the handler with a bare session, in one process and in turns."""
    result, asked = context.scratch / "cpu.json", context.scratch / "event.json"
    asked.write_text(json.dumps(event(chat_question())))
    arguments = (result, asked, 3 * context.repeats, CALLS_PER_TURN)
    script = Path(__file__).with_name("in_process.py")
    run_with(context, context.installs.relay, script, *arguments)
    measured = json.loads(result.read_text())
    per_call = {f"{way}_ms": median(values) for way, values in measured.items()}
    return summarize(ratios(measured["relay"], measured["direct"]), per_call)


def run_with(
    context: BenchContext, folders: tuple[Path, ...], script: Path, *arguments: object
) -> None:
    """Run a script in the functions' Python, with some folders to import from."""
    path = os.pathsep.join(map(str, folders))
    command = [str(context.installs.python), "-P", str(script), *map(str, arguments)]
    environ = context.environ | {"PYTHONPATH": path}
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)  # noqa: S603


def memory(context: BenchContext) -> Iterator[tuple[str, Measurement]]:
    """Yield the memory after many calls, whole ones and streams mixed, and how it grew."""
    questions = cycle([chat_question(), chat_question(20), chat_question(), chat_question(400)])
    with context.function(context.installs.relay) as function:
        for question in islice(questions, CALLS_BEFORE):
            function.invoke(event(question))
        before = function.resident_megabytes()
        for question in islice(questions, CALLS_AFTER - CALLS_BEFORE):
            function.invoke(event(question))
        after = function.resident_megabytes()
    yield "rss_mb", summarize([after])
    yield "rss_growth_mb", summarize([after - before])

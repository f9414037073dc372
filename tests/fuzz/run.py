"""Fuzzes for so many minutes and says how much was tried; ends with 1 if a claim did not hold.

    python -m tests.fuzz.run MINUTES SEED

A third of the time goes to the parsers of bytes, guided by coverage; the rest to rounds of
everything in this folder, each with a seed of its own. The last round is not cut short.
"""
# ruff: noqa: S603, T201 - it starts our own suites, and prints what came of them

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

from tests.fuzz.parsers import PARSERS

AT_ONCE = 2
UNITS = re.compile(r"number_of_executed_units: (\d+)")
TRIED = re.compile(r"^tried (\d+) (.+)$", re.MULTILINE)
ROUND = ("-m", "pytest", "tests/fuzz", "--hypothesis-profile=fuzz")


class Tally:
    """What was tried, and what came out of it."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.failures: list[str] = []

    def show(self) -> None:
        """Print a line for each kind of input."""
        for what, times in sorted(self.tried.items()):
            print(f"{times:>12,}  {what}")
        print(f"{self.tried.total():>12,}  in all; {len(self.failures)} claims did not hold")


def fuzz(minutes: float, seed: int) -> Tally:
    """Try for so long."""
    started, tally = time.monotonic(), Tally()
    guided(tally, minutes * 60 / 3, seed)
    while time.monotonic() - started < minutes * 60:
        one_round(tally, seed)
        seed += 1
    return tally


def guided(tally: Tally, seconds: float, seed: int) -> None:
    """Fuzz each parser for its share of the time, where there is a fuzzer: it is made for Linux."""
    if find_spec("atheris") is None:
        print("The guided part was left out: atheris has wheels for Linux alone.")
        return
    each = max(1, round(seconds * AT_ONCE / len(PARSERS)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(lambda name: run("-m", "tests.fuzz.guided", name, each, seed), PARSERS)
        for name, (code, said) in zip(PARSERS, done, strict=True):
            found = UNITS.search(said)
            tally.tried[f"texts for {name}, guided"] += int(found[1]) if found else 0
            note(tally, name, code, said)


def one_round(tally: Tally, seed: int) -> None:
    """Run everything in this folder once."""
    code, said = run(*ROUND, f"--hypothesis-seed={seed}")
    for times, what in TRIED.findall(said):
        tally.tried[what] += int(times)
    note(tally, f"seed {seed}", code, said)


def run(*words: object) -> tuple[int, str]:
    """Run Python; return how it ended and all that it said."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def note(tally: Tally, what: str, code: int, said: str) -> None:
    """Keep and print a failure."""
    if code:
        tally.failures.append(what)
        print(f"{what}:\n{said}")


if __name__ == "__main__":
    result = fuzz(float(sys.argv[1]), int(sys.argv[2]))
    result.show()
    sys.exit(bool(result.failures))

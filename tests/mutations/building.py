"""Makes a broken copy of the package, and runs tests against it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.mutations.mutants import Change, Mutant

ROOT = Path(__file__).resolve().parents[2]
_LAYER = ROOT / "layers/llm_relay"
_PASSED, _FAILED = "PASSED ", "FAILED "
_SECONDS = 240


class MutantOutdated(Exception):  # noqa: N818 - what it is
    """The code that a mutant breaks has changed."""


def unbroken(folder: Path) -> Path:
    """Copy the package as it is; return where it is imported from."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_LAYER / "llm_relay", folder / "llm_relay", ignore=ignored)
    return folder


def broken(mutant: Mutant, folder: Path) -> Path:
    """Copy the package and break it; return where it is imported from."""
    layer = unbroken(folder)
    for change in mutant.changes:
        _make(change, layer / "llm_relay" / change.file, mutant.name)
    return layer


def verdicts(layer: Path, tests: Iterable[str]) -> dict[str, bool]:
    """Run tests against a copy of the package; return which of them passed."""
    asked = list(tests)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rpf", "-p", "no:cacheprovider"]
    ran = subprocess.run(  # noqa: S603
        [*command, "-o", f"pythonpath=. {layer}", *asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    results = [line for line in ran.stdout.splitlines() if line.startswith((_PASSED, _FAILED))]
    found = {_test_in(line): line.startswith(_PASSED) for line in results}
    if found.keys() != set(asked):  # some did not even start
        raise AssertionError(ran.stdout + ran.stderr)
    return found


def _make(change: Change, file: Path, name: str) -> None:
    text = file.read_text()
    if text.count(change.old) != 1:
        raise MutantOutdated(
            f"'{name}' changes what stands {text.count(change.old)} times in {change.file}. Renew "
            "it in tests/mutations/mutants.py, so that it breaks the code as it is now."
        )
    file.write_text(text.replace(change.old, change.new))


def _test_in(line: str) -> str:
    return line.partition(" ")[2].partition(" - ")[0]

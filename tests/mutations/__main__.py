"""`make mutants`: breaks the build on purpose, and shows which tests notice."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.mutations.building import broken, verdicts
from tests.mutations.mutants import MUTANTS, Mutant


def caught_by(mutant: Mutant) -> list[str]:
    """Return the tests that fail on a mutant."""
    with tempfile.TemporaryDirectory() as folder:
        passed = verdicts(broken(mutant, Path(folder)), mutant.caught_by)
    return [test for test, has_passed in passed.items() if not has_passed]


def main() -> int:
    """Print a line for each mutant; return 1 if a test has let one pass."""
    console, table, code = Console(), Table("A build that"), 0
    table.add_column("is caught by", overflow="fold")
    for mutant in MUTANTS:
        with console.status(mutant.name):
            found = caught_by(mutant)
        code |= set(found) != set(mutant.caught_by)
        names = [escape(test.partition("::")[2]) for test in found]
        table.add_row(mutant.name, "\n".join(names) or "none")
    console.print(table)
    return code


if __name__ == "__main__":
    sys.exit(main())

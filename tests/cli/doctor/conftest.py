"""What `relay doctor` says, taken apart, and stacks that it is asked about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from tests.cli.conftest import RelayRunner


@dataclass(frozen=True)
class Checks:
    """A report in JSON."""

    done: Result

    def __post_init__(self) -> None:
        assert self.done.stderr == ""
        assert self.done.exit_code == (0 if self.healthy else 1)

    @property
    def text(self) -> str:
        return self.done.stdout

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.text)
        return report

    @property
    def healthy(self) -> bool:
        return self.report["healthy"] is True

    @property
    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.report["checks"]}

    @property
    def not_checked(self) -> set[str]:
        return {name for name, state in self.states.items() if state == "not checked"}

    @property
    def faults(self) -> list[tuple[str, str, str]]:
        """Name, words and fix of all that is not in order."""
        checks = [c for c in self.report["checks"] if c["state"] in ("warn", "fail")]
        return [(check["name"], check["says"], check["fix"]) for check in checks]

    def only_fault(self) -> tuple[str, str, str]:
        assert len(self.faults) == 1, self.faults
        assert self.faults[0][2]
        return self.faults[0]

    def says(self, name: str) -> str:
        return self._of(name, "says")

    def fix(self, name: str) -> str:
        return self._of(name, "fix")

    def _of(self, name: str, what: str) -> str:
        (found,) = (each[what] for each in self.report["checks"] if each["name"] == name)
        return str(found)


def diagnosed(runner: RelayRunner, *arguments: str) -> Checks:
    return Checks(runner.relay("doctor", "--json", *arguments))


@pytest.fixture
def changed_resources(
    runner: RelayRunner, changed_note: Callable[..., RelayRunner]
) -> Callable[..., RelayRunner]:
    """Make a runner with some resources replaced or missing."""

    def change(**changes: str | None) -> RelayRunner:
        note = json.loads((runner.root / ".relay-local.json").read_text())
        resources = note["resources"] | changes
        return changed_note(resources={k: v for k, v in resources.items() if v is not None})

    return change

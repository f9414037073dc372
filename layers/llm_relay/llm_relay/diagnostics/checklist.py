"""Runs checks in order and keeps their findings; a failed check skips those that require it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

OK = "ok"
WARN = "warn"
FAIL = "fail"
NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; these fields are the JSON output of `relay doctor`."""

    state: str
    says: str
    fix: str | None = None
    seconds: float | None = None  # a duration that another check compares


ok = partial(Finding, OK)
warn = partial(Finding, WARN)
fail = partial(Finding, FAIL)


def not_checked(reason: str) -> Finding:
    """Return that the check was skipped."""
    return Finding(NOT_CHECKED, f"not checked: {reason}")


@dataclass(slots=True)
class Checklist:
    """The findings so far, by the names of their checks."""

    findings: dict[str, Finding] = field(default_factory=dict)

    def run(self, name: str, check: Callable[[], Finding], *required: str) -> None:
        """Run a check, unless one that it requires did not pass."""
        found = self.findings
        failed = (
            each for each in required if each in found and found[each].state not in (OK, WARN)
        )
        missing = next(failed, None)
        found[name] = not_checked(f"it needs '{missing}'") if missing else check()

    def document(self) -> dict[str, Any]:
        """Return all findings as JSON; a stack with warnings is healthy."""
        checks = [{"name": name, **asdict(finding)} for name, finding in self.findings.items()]
        return {"checks": checks, "healthy": all(check["state"] != FAIL for check in checks)}

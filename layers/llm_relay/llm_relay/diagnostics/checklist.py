"""Checks in their order, and what each found; one whose prerequisite failed is not made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OK = "ok"
WARN = "warn"
FAIL = "fail"
NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands, why, and what mends it."""

    state: str
    says: str
    fix: str | None = None
    seconds: float | None = None  # that it took, where somebody has to know


def ok(says: str, seconds: float | None = None) -> Finding:
    """Return that all is well."""
    return Finding(OK, says, seconds=seconds)


def warn(says: str, fix: str) -> Finding:
    """Return what works, and will not for ever or not as it should."""
    return Finding(WARN, says, fix)


def fail(says: str, fix: str) -> Finding:
    """Return what keeps the stack from working."""
    return Finding(FAIL, says, fix)


def not_checked(why: str) -> Finding:
    """Return that nobody knows."""
    return Finding(NOT_CHECKED, f"not checked: {why}")


@dataclass(slots=True)
class Checklist:
    """What was found so far, by the names of the checks."""

    findings: dict[str, Finding] = field(default_factory=dict)

    def check(self, name: str, look: Callable[[], Finding], *needs: str) -> None:
        """Look at one thing, unless one that it needs is not in order."""
        broken = next((need for need in needs if not self.works(need)), None)
        self.findings[name] = not_checked(f"it needs '{broken}'") if broken else look()

    def works(self, name: str) -> bool:
        """Tell whether nothing is known against a thing; a warning is not."""
        found = self.findings.get(name)
        return found is None or found.state in (OK, WARN)

    def document(self) -> dict[str, Any]:
        """Return everything that was found; warnings leave a stack healthy."""
        checks = [{"name": name, **asdict(found)} for name, found in self.findings.items()]
        return {"checks": checks, "healthy": all(check["state"] != FAIL for check in checks)}

"""The share of a processor that Lambda gives with memory, made with a control group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
ONE_CORE_MEGABYTES = 1769
_PERIOD_MICROSECONDS = 20_000
_GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def cpu_quota(process: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that limits a process to the CPU of so many megabytes, until the block ends.

    Where no control groups can be made, that does nothing.
    """
    if not can_limit():
        yield lambda _megabytes: None
        return
    parent = _parent()
    group = parent / f"llm-relay-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(process))
        yield lambda megabytes: _limit(group, megabytes)
    finally:
        (parent / "cgroup.procs").write_text(str(process))
        group.rmdir()


def can_limit() -> bool:
    """Tell whether this machine lets us make control groups."""
    parent = _parent()
    is_ready = _is_old() or "cpu" in _words(parent / "cgroup.subtree_control")
    return is_ready and os.access(parent, os.W_OK)


def _limit(group: Path, megabytes: int) -> None:
    share = round(_PERIOD_MICROSECONDS * megabytes / ONE_CORE_MEGABYTES)
    if _is_old():
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(share))
    else:
        (group / "cpu.max").write_text(f"{share} {_PERIOD_MICROSECONDS}")


def _parent() -> Path:
    return _GROUPS / "cpu" if _is_old() else _GROUPS


def _is_old() -> bool:
    """Tell version 1 of the interface from version 2."""
    return (_GROUPS / "cpu" / "cgroup.procs").exists()


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []

"""Allows one local stack per folder, as a second one would overwrite its files."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def single_instance(log: Path, note: Path) -> Iterator[None]:
    """Lock the log for the life of this process; ValueError if another process has it."""
    with log.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"A local stack already runs in this folder{_base_url_in(note)}. Stop it first, or "
                "start this one in a copy of the folder."
            ) from None
        yield


def _base_url_in(note: Path) -> str:
    """Return the other stack's base URL, if known."""
    try:
        return f" ({json.loads(note.read_text())['base_url']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""

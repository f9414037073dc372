"""Does what an item asks for; what it has done before it finds in its notes."""

import os
import signal
import time
from pathlib import Path
from typing import Any

SCRATCH = Path(os.environ["SCRATCH"])


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    note = SCRATCH / f"begun-{event['id']}"
    again = note.exists()
    note.touch()
    if event.get("do") == "raise":
        raise ValueError("as asked")
    if event.get("do") == "die" and not again:
        os.kill(os.getpid(), signal.SIGKILL)
    while event.get("do") == "meet" and not (SCRATCH / f"begun-{event['other']}").exists():
        time.sleep(0.01)
    while event.get("do") == "stay" and not (SCRATCH / "go").exists():
        time.sleep(0.01)
    rest = int(event.get("do") == "rest" and not again)
    return {**event, "wait_seconds": rest, "again": again}

"""Notes what came, and fails what asks for it."""

import json
import os
import time
from pathlib import Path
from typing import Any

SCRATCH = Path(os.environ["SCRATCH"])


def handler(event: dict[str, Any], context: object) -> Any:
    bodies = [record["body"] for record in event["Records"]]
    with (SCRATCH / "jobs").open("a") as notes:
        notes.write(json.dumps({"at": time.monotonic(), "event": event}) + "\n")
    if "raise" in bodies:
        raise ValueError("as asked")
    if "nonsense" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "unknown"}]}
    while "stay" in bodies and not (SCRATCH / "go").exists():
        time.sleep(0.01)
    with (SCRATCH / "jobs-done").open("a") as notes:
        notes.writelines(f"{time.monotonic()} {body}\n" for body in bodies)
    failed = [each["messageId"] for each in event["Records"] if each["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

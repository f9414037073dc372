"""Answers with the event, or misbehaves as the body asks."""

import json
import os
import time
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: object) -> Any:
    try:
        asked = json.loads(event["body"] or "{}")
    except ValueError:
        asked = {}
    if "raise" in asked:
        raise ValueError("as asked")
    if "exit" in asked:
        os._exit(3)
    if "answer" in asked:
        return asked["answer"]
    time.sleep(asked.get("sleep", 0))
    (Path(os.environ["SCRATCH"]) / "finished").touch()
    body = {"event": event, "environment": dict(os.environ)}
    return {"statusCode": 200, "headers": {"x-tried": 1}, "body": json.dumps(body)}

"""Answers with the event, or as its body asks, and notes it."""

import json
import os
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: object) -> Any:
    with (Path(os.environ["SCRATCH"]) / "echoed").open("a") as notes:
        notes.write(json.dumps(event) + "\n")
    if event.get("httpMethod") is None:
        return event
    try:
        return json.loads(event["body"])["answer"]
    except (ValueError, KeyError, TypeError):
        return {"statusCode": 200, "body": json.dumps(event)}

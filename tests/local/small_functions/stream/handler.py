"""Streams an answer and waits for the test's leave in the middle of it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_relay.aws.lambda_streaming import StreamResponse


def handler(event: dict[str, Any], context: object) -> Any:
    asked = json.loads(event["body"])
    if "payload" in asked:
        return asked["payload"].encode()
    return StreamResponse(201, {"content-type": "text/event-stream"}, body(asked))


def body(asked: dict[str, Any]) -> Iterator[bytes]:
    scratch = Path(os.environ["SCRATCH"])
    yield b"first\n"
    while not (scratch / "go").exists():
        time.sleep(0.01)
    if "raise" in asked:
        raise ValueError("as asked")
    if "exit" in asked:
        os._exit(3)
    for _ in range(asked.get("megabytes", 0)):
        yield bytes(1024 * 1024)
    yield b"last\n"
    (scratch / "finished").touch()

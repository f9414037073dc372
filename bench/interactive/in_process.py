"""Runs in the functions' own Python: CPU of the handler and of a bare session, in turns.

python in_process.py RESULT EVENT TURNS CALLS
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

WARM_UP_CALLS = 30


class Context:
    """As much of Lambda's context as the handler uses."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Return more time than anything here takes."""
        return 300_000


def handler_call(event: dict[str, Any]) -> Callable[[], bytes]:
    """Return one call of the relay's handler, taken to its end."""
    handler = importlib.import_module("handler")  # the folder of the function is on the path

    def call() -> bytes:
        streamed = handler.handler(event, Context())
        return bytes(streamed if isinstance(streamed, bytes) else streamed.buffered())

    return call


def direct(event: dict[str, Any]) -> Callable[[], bytes]:
    """Return one call of the provider over a kept session."""
    session = requests.Session()
    session.verify = os.environ["REQUESTS_CA_BUNDLE"]
    session.trust_env = False
    url = os.environ["UPSTREAM_BASE_URL"] + "/chat/completions"
    headers = {"Authorization": f"Bearer {os.environ['ABLIT_KEY']}"}
    body = event["body"].encode()

    def call() -> bytes:
        response = session.post(url, data=body, headers=headers, timeout=60)
        json.loads(response.content)
        return response.content

    return call


def cpu_seconds(call: Callable[[], bytes], calls: int) -> float:
    """Return the CPU time of so many calls, threads included."""
    begun = time.process_time()
    for _ in range(calls):
        if b"fox" not in call():
            raise RuntimeError("That was no answer")
    return time.process_time() - begun


def main(result: str, event_file: str, turns: int, calls: int) -> None:
    """Write the milliseconds per call of each turn."""
    event = json.loads(Path(event_file).read_text())
    ways = {"relay": handler_call(event), "direct": direct(event)}
    for call in ways.values():
        cpu_seconds(call, WARM_UP_CALLS)
    measured: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, call in ways.items():
            measured[way].append(1000 * cpu_seconds(call, calls) / calls)
    Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

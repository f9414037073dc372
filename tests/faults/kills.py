"""Functions in processes of their own, killed at a moment of the test's choosing.

A moment is one before or after an operation of AWS was done, or before or after the provider's
answer went out. So a test can count them, and then kill a function at each.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_relay.aws.lambda_streaming import StreamResponse
from tests.functions.conftest import Context, long_timeouts_for

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_SECONDS = 60
# Like a function that starts from a snapshot: everything is imported, and nothing was done yet.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.kills", "tests.faults.preloaded"])


@dataclass
class Invocations:
    """Invokes functions, each time in a new process; `log` has all that they print."""

    log: Path
    moments: list[str] = field(default_factory=list)  # of the last one, in order
    kills: int = 0
    _kill_at: int | None = None
    _process: BaseProcess | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, function: str, event: Any, kill_at: int | None = None) -> Any:
        """Return the function's answer, or None if it was killed, at the moment of that number.

        It ends well if that moment does not come, as the one before a renewed lease may not.
        """
        mine, theirs = _FORKS.Pipe(duplex=False)
        work = (function, json.dumps(event), dict(os.environ), str(self.log), theirs)
        process = _FORKS.Process(target=_run, args=work)
        self.moments, self._kill_at, self._process = [], kill_at, process
        process.start()
        theirs.close()
        with mine:
            answer = _received(mine)
        process.join(_SECONDS)
        self._process = None
        assert process.exitcode == (-signal.SIGKILL if answer is None else 0)
        self.kills += answer is None
        process.close()
        return answer

    def come(self, moment: str) -> bool:
        """Let a moment come; return whether the function has died of it, or before."""
        with self._turn:
            if self._process is None:
                return False
            if len(self.moments) == self._kill_at:
                self._process.kill()
            else:
                self.moments.append(moment)
            return len(self.moments) == self._kill_at

    def printed(self) -> str:
        """Return what all functions have printed."""
        return self.log.read_text()


def _received(answers: Connection) -> Any:
    try:
        return answers.recv()
    except EOFError:  # it is dead
        return None


def _run(function: str, event: str, environ: dict[str, str], log: str, answers: Any) -> None:
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environ)
    handler = importlib.import_module(f"functions.{function}.handler").handler
    with long_timeouts_for(urlsplit(environ["AWS_ENDPOINT_URL"]).port or 0):
        result = handler(json.loads(event), Context(_SECONDS, time.monotonic()))
        if isinstance(result, StreamResponse):
            result = {"statusCode": result.status, "body": b"".join(result.body).decode()}
    answers.send(result)

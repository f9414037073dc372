"""A stack that may be asked as often as it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.settings import Settings
from local.stack import Stack
from tests.e2e.conftest import loop  # noqa: F401 - a fixture
from tests.fuzz.tally import TRIED
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Loop

NO_LIMIT = {
    "ThrottleRequestsPerSecond": 10_000,
    "ThrottleBurst": 10_000,
    "QuotaPerDay": 100_000_000,
}
SECONDS = 60
FAILURES = ("Traceback", '"internal error"', "Task timed out", "Runtime exited")


@dataclass
class Target:
    """A stack that is up, and what there is in it to ask for."""

    stack: Stack
    log: Path
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def paid(self) -> int:
        """How often the provider was asked for an answer."""
        assert self.stack.provider is not None
        return sum(call.path != "/models" for call in self.stack.provider.calls)

    def failures(self) -> list[str]:
        """What the functions' log has of our own failures."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(word in line for word in FAILURES)]

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """What a well-formed request is answered."""
        headers = {"Authorization": f"Bearer {self.stack.client_key}"}
        url = f"{self.stack.base_url}{path}"
        reply = self.session.request(method, url, headers=headers, timeout=SECONDS, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def new_file(self, content: str = "{}") -> str:
        """The id of a file that was just uploaded."""
        upload = {"file": ("rows.jsonl", content)}
        return str(self.ask("POST", "/v1/files", data={"purpose": "batch"}, files=upload)["id"])

    def new_response(self) -> str:
        """The id of a background response that has ended."""
        question = {"model": "abliterated-model", "input": "Hello", "background": True}
        return self.ended(self.ask("POST", "/v1/responses", json=question))

    def ended(self, response: dict[str, Any]) -> str:
        """The id of a background response, once no worker processes it any more."""
        path = f"/v1/responses/{response['id']}"
        wait_until(lambda: self.ask("GET", path)["status"] == "completed", SECONDS)
        return str(response["id"])

    def new_batch(self) -> str:
        """The id of a batch that fails by itself, as its file is none: nothing is paid for it."""
        order = {
            "input_file_id": self.new_file("no row"),
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        return str(self.ask("POST", "/v1/batches", json=order)["id"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, times in sorted(TRIED.items()):
        terminalreporter.write_line(f"tried {times} {what}")


@pytest.fixture(scope="session")
def target(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:  # noqa: F811
    """The stack in front of the provider simulator."""
    log = tmp_path_factory.mktemp("fuzz") / "functions.log"
    stack = Stack(Settings(log=log, parameters=NO_LIMIT))
    loop.run(stack.__aenter__())
    target = Target(stack, log)
    yield target
    target.session.close()
    loop.run(stack.__aexit__(None, None, None))

"""A local stack, and the command line run against it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner, Result

from cli.main import main
from local.settings import Settings
from local.stack import Stack
from tests.cli.formation import deployed, formation  # noqa: F401 - fixtures
from tests.e2e.conftest import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TTL_SECONDS = 1.0  # of what the authorizer said; 300 on AWS
TIMEOUT = 60


@dataclass(frozen=True)
class RelayRunner:
    """A stack with the folder that its note is in, and everything it has logged."""

    stack: Stack
    root: Path
    log: Path
    lines: list[str]

    def relay(self, *arguments: str, given: str | None = None) -> Result:
        """Runs `relay ... --local`, with something on stdin if it is given."""
        return CliRunner().invoke(main, [*arguments, "--local"], input=given, obj=self.root)

    def quiet(self, *arguments: str) -> str:
        """Runs a command that must go well; what it prints, without the line's end."""
        done = self.relay(*arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout.strip()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.quiet(*arguments, "--json"))

    def status(self, key: str) -> int:
        """How a call with a client key is answered."""
        url = f"{self.stack.base_url}/v1/models"
        headers = {"Authorization": f"Bearer {key}"}
        return requests.get(url, headers=headers, timeout=TIMEOUT).status_code

    def items(self) -> list[dict[str, Any]]:
        """Everything in the table of clients."""
        table = self.stack.template.ref("ClientsTable")
        found: list[dict[str, Any]] = self.stack.aws("dynamodb").scan(TableName=table)["Items"]
        return found

    def item(self, name: str) -> dict[str, Any]:
        """The profile of the client of a name."""
        (found,) = (item for item in self.items() if item.get("name") == {"S": name})
        return found

    def api_key_ids(self) -> set[str]:
        return {key["id"] for key in self.stack.aws("apigateway").get_api_keys()["items"]}

    def plan_ids(self) -> set[str]:
        return {plan["id"] for plan in self.stack.aws("apigateway").get_usage_plans()["items"]}


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayRunner]:
    root, lines = tmp_path_factory.mktemp("root"), list[str]()
    log = root / "functions.log"
    settings = Settings(log=log, authorizer_ttl_seconds=TTL_SECONDS)
    loop = Loop()
    stack = Stack(settings, lines.append)
    loop.run(stack.__aenter__())
    stack.write_state_file(root / ".relay-local.json")
    yield RelayRunner(stack, root, log, lines)
    loop.run(stack.__aexit__(None, None, None))
    loop.close()


@pytest.fixture
def changed_note(runner: RelayRunner, tmp_path: Path) -> Callable[..., RelayRunner]:
    """Make a runner with changes in its note."""

    def change(**changes: Any) -> RelayRunner:
        note = json.loads((runner.root / ".relay-local.json").read_text())
        (tmp_path / ".relay-local.json").write_text(json.dumps(note | changes))
        return RelayRunner(runner.stack, tmp_path, runner.log, runner.lines)

    return change

"""What docs/architecture.md tells to add, added to a copy of the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import openai
import pytest
import requests
import yaml

from local.provider_simulator.server import DEFAULT_KEY, Provider
from tests.docs.blocks import ROOT, blocks_of
from tests.e2e.commands import command, copy_of_the_project, lines_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Loop

PAGE = ROOT / "docs" / "architecture.md"
MODEL = "abliterated-model"
HELD_AGAINST_IT = [
    "tests/functions/test_openapi.py",
    "tests/functions/observability/test_monitored_metrics.py",
    "tests/functions/test_whoami.py",
    "tests/template/test_events.py::test_every_route_has_a_sample_event",
    "tests/template/test_layout.py",
    "tests/template/permissions/test_least_privilege.py::test_every_role_is_checked",
]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which everything on the page has been done, in its order."""
    project = copy_of_the_project(tmp_path_factory.mktemp("extended"))
    shutil.copytree(
        ROOT / "tests", project / "tests", ignore=shutil.ignore_patterns("node_modules")
    )
    shutil.copytree(ROOT / "docs", project / "docs")
    for name in ("pyproject.toml", "samconfig.toml"):
        shutil.copy(ROOT / name, project)
    for block in blocks_of(PAGE):
        if block.language == "diff":
            do(["patch", "--strip=1", "--no-backup-if-mismatch"], project, block.text)
        if block.language == "sh" and "events/" in block.text:
            do(["bash", "-e"], project, block.text)
    served = yaml.safe_load((project / "docs" / "openapi.yaml").read_text())
    (project / "functions" / "openapi" / "openapi.json").write_text(json.dumps(served))
    return project


def do(words: list[str], folder: Path, given: str = "") -> None:
    run = subprocess.run(  # noqa: S603 - our own document
        words, cwd=folder, input=given, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_documented_changes_pass_the_project_s_own_tests(extended: Path) -> None:
    do([sys.executable, "-m", "pytest", "-q", *HELD_AGAINST_IT], extended)


@pytest.fixture(scope="module")
def client(extended: Path, loop: Loop) -> Iterator[openai.OpenAI]:
    """A client of the extended stack, which puts requests in the new dialect to the simulator."""
    with ExitStack() as closing:
        provider = Provider()
        upstream = {"UPSTREAM_BASE_URL": loop.run(provider.start()), "ABLIT_KEY": DEFAULT_KEY}
        closing.callback(lambda: loop.run(provider.stop()))
        run = command(extended, "run", PORT="0", PROVIDER_DIALECT="acme", **upstream)
        printed = "".join(lines_until(closing.enter_context(run), "Ctrl-C"))
        assert "FAIL" not in printed, printed
        note = json.loads((extended / ".relay-local.json").read_text())
        yield closing.enter_context(
            openai.OpenAI(base_url=note["base_url"], api_key=note["client_key"])
        )


def test_the_new_dialect_renames_unsupported_fields(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Reply with: it works"},
        ],
        max_completion_tokens=10,
    )
    assert completion.choices[0].message.content == "it works"


def test_the_new_endpoint_requires_a_client_key(client: openai.OpenAI) -> None:
    url = f"{client.base_url}whoami"
    assert requests.get(url, timeout=60).status_code == 401
    key = {"Authorization": f"Bearer {client.api_key}"}
    assert requests.get(url, headers=key, timeout=60).json() == {"client": None}


def test_the_new_metric_is_reported(client: openai.OpenAI, extended: Path) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        client.responses.create(model=MODEL, input="Hello", extra_headers=headers)
    log = (extended / ".relay-local.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if '"Replays"' in line]
    assert [line["Replays"] for line in lines] == [[1]]

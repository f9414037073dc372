"""The value of a key is where it was asked for, and nowhere else."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import RelayRunner

KEY = re.compile(r"sk-relay-[0-9a-f]{12}-[0-9a-f]{4}-[A-Za-z0-9]{40}")
PROVIDER_KEY = "ak_candidate_canary_0123456789"


def test_no_key_is_in_any_output_table_or_log_but_the_answers_of_create_and_rotate(
    runner: RelayRunner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    created = runner.quiet("keys", "create", "canary", "--budget-usd", "1", "--quiet")
    rotated = runner.quiet("keys", "rotate", "canary", "--quiet")
    assert runner.status(created) == runner.status(rotated) == 200
    ids = [key["key_id"] for key in runner.json("keys", "show", "canary")["keys"]]
    commands = [
        ("keys", "list"),
        ("keys", "list", "--json"),
        ("keys", "show", "canary"),
        ("keys", "show", "canary", "--json"),
        ("keys", "show", created),
        ("keys", "rotate", created),
        ("keys", "create", created),
        ("usage",),
        ("usage", "--json"),
        ("provider-key", "show"),
        ("provider-key", "set"),
        ("doctor",),
        ("doctor", "--json", "--client-key", rotated),
        ("keys", "prune"),
        ("keys", "revoke", "--key", ids[0], "--yes"),
        ("keys", "revoke", created, "--yes"),
        ("keys", "revoke", "canary", "--yes"),
        ("keys", "revoke", "--key", created, "--yes"),
    ]
    printed = [runner.relay(*command, given=PROVIDER_KEY) for command in commands]
    runner.status(created)
    seen = {
        "outputs": "".join(done.stdout + done.stderr for done in printed),
        "table": json.dumps(runner.items()),
        "functions' log": runner.log.read_text(),
        "gateway's lines": "".join(runner.lines),
        "log": caplog.text,
        "note": (runner.root / ".relay-local.json").read_text(),
    }
    assert seen["functions' log"]
    secrets = [created, rotated, created[-40:], rotated[-40:], PROVIDER_KEY]
    assert [place for place, text in seen.items() if any(s in text for s in secrets)] == []
    assert [place for place, text in seen.items() if KEY.search(text)] == []


def test_create_and_rotate_print_a_key_once(runner: RelayRunner) -> None:
    for command in (
        ("keys", "create", "once"),
        ("keys", "create", "once-for-scripts", "--json"),
        ("keys", "create", "once-in-quiet", "--quiet"),
        ("keys", "rotate", "once"),
        ("keys", "rotate", "once", "--quiet"),
    ):
        assert len(KEY.findall(runner.quiet(*command))) == 1

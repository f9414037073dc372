"""Sample events of files and batches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from functions.batches.handler import handler as batches_handler
from functions.files.handler import handler as files_handler
from tests.functions.conftest import Context, taken

pytestmark = pytest.mark.usefixtures("state_machine")


EVENTS = Path(__file__).parents[3] / "events"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("files/create", 200, None),
        ("files/list", 200, None),
        ("files/retrieve", 404, "file_not_found"),
        ("files/delete", 404, "file_not_found"),
        ("files/content", 404, "file_not_found"),
        ("batches/create", 404, "file_not_found"),
        ("batches/list", 200, None),
        ("batches/retrieve", 404, "batch_not_found"),
        ("batches/cancel", 404, "batch_not_found"),
    ],
)
def test_a_sample_event_is_answered(
    state_machine: str, name: str, status: int, code: str | None
) -> None:
    handler = files_handler if name.startswith("files/") else batches_handler
    answer = taken(handler(json.loads((EVENTS / f"{name}.json").read_text()), Context()))
    assert (answer.status, answer.json().get("error", {}).get("code")) == (status, code)

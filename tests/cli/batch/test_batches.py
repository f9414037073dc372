"""`relay batch list`, `show`, `cancel` and `results`."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cli.aws.target_stack import local_stack
from cli.services.clients import ClientProfile, ClientProfiles
from llm_relay.core.client import ClientLimits
from local.aws_emulator.moto_server import moto
from tests.cli.batch.conftest import AtTheKeyboard, BatchCliRunner

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = b'{"custom_id": "row-1"}\n'


def ended(runner: BatchCliRunner, **more: Any) -> str:
    """The id of a batch that has one answer, and nothing wrong with it."""
    batch = runner.batch(**more)
    runner.begin(batch, 1)
    runner.store.add_counts(batch.owner, batch.id, 1, 0)
    runner.end(batch, output=ANSWERS)
    return batch.id


def listed(runner: BatchCliRunner, *words: str) -> list[str]:
    return [each["id"] for each in json.loads(runner.output_of("list", "--json", *words))]


def test_own_batches_are_listed_newest_first(runner: BatchCliRunner) -> None:
    ids = [runner.batch().id for _ in range(3)]
    runner.batch(owner="other")
    assert listed(runner) == ids[::-1]
    assert listed(runner, "--limit", "2") == ids[:0:-1]
    shown = runner.output_of("list")
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ids[::-1]


def test_all_owners_batches_are_listed_newest_first(runner: BatchCliRunner) -> None:
    ids = [runner.batch(owner=owner).id for owner in ("one", "operator", "two")]
    assert listed(runner, "--all") == ids[::-1]
    assert listed(runner, "--all", "--limit", "1") == ids[2:]


def test_a_client_s_batches_are_listed_by_its_name(runner: BatchCliRunner) -> None:
    client = ClientProfile(
        id="0123456789ab", name="team", created_at=1, plan_id="p", limits=ClientLimits()
    )
    ClientProfiles(local_stack(runner.root / ".relay-local.json")).add(client)
    runner.batch()
    batch = runner.batch(owner=client.id)
    assert listed(runner, "--client", "team") == [batch.id]


@pytest.mark.parametrize("look", ["list", "show {}"])
def test_a_batch_whose_submitter_died_is_started_when_it_is_read(
    runner: BatchCliRunner, look: str
) -> None:
    runner.batch()
    stranded = runner.batch(created_at=int(time.time()) - 600)
    assert stranded.id in runner.output_of(*look.format(stranded.id).split())
    assert runner.executions() == {stranded.id: {"owner": "operator", "batch": stranded.id}}


def test_no_batches_are_reported_with_how_to_submit_one(runner: BatchCliRunner) -> None:
    assert "relay batch submit" in runner.output_of("list")


@pytest.mark.parametrize(
    "words", [("--limit", "0"), ("--client", "x", "--all"), ("--client", "unknown")]
)
def test_invalid_list_options_are_refused(runner: BatchCliRunner, words: tuple[str, ...]) -> None:
    runner.refused("list", *words)


def test_json_is_the_document_of_the_api(runner: BatchCliRunner) -> None:
    batch_id = ended(runner, metadata={"run": "7"})
    done = runner.relay("show", batch_id, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    batch = runner.only_batch()
    assert json.loads(done.stdout) == batch.document()
    assert batch.document()["status"] == "completed"


def test_a_table_for_people_shows_state_rows_cost_and_files(runner: BatchCliRunner) -> None:
    batch_id = ended(runner, metadata={"run": "7"})
    shown = runner.output_of("show", batch_id)
    batch = runner.only_batch()
    place = f"s3://{runner.bucket}/{batch.results}output.jsonl"
    for words in ("completed", "1: 1 done, 0 failed", "$0.00125", "run=7", place):
        assert words in shown
    assert "errors.jsonl" not in shown


def test_bad_lines_are_shown_by_number(runner: BatchCliRunner) -> None:
    batch = runner.batch()
    error = {"code": "invalid_json_line", "line": 12, "message": "Not [JSON].", "param": None}
    runner.refuse(batch, error)
    shown = runner.output_of("show", batch.id)
    (line,) = (line for line in shown.splitlines() if "invalid_json_line" in line)
    assert line.split()[0] == "12"
    assert "Not [JSON]." in line


def test_a_batch_of_any_owner_is_found_by_its_id(runner: BatchCliRunner) -> None:
    batch = runner.batch(owner="other")
    assert json.loads(runner.output_of("show", batch.id, "--json"))["id"] == batch.id
    assert "other" in runner.output_of("show", batch.id)


@pytest.mark.parametrize("command", ["show", "cancel", "results"])
def test_an_unknown_batch_id_is_reported(runner: BatchCliRunner, command: str) -> None:
    runner.batch()
    assert "no batch batch_x" in runner.refused(command, "batch_x")


def test_a_running_batch_is_cancelled(runner: BatchCliRunner) -> None:
    batch = runner.batch()
    runner.begin(batch, 5)
    assert runner.output_of("cancel", batch.id) == f"{batch.id} is cancelling."
    assert runner.only_batch().status == "cancelling"
    closing = {"owner": "operator", "batch": batch.id, "close": True}
    assert runner.executions() == {f"{batch.id}-close": closing}


def test_a_batch_that_has_ended_cannot_be_cancelled(runner: BatchCliRunner) -> None:
    assert "'completed'" in runner.refused("cancel", ended(runner))
    assert runner.executions() == {}


def test_results_can_be_downloaded_again(runner: BatchCliRunner, tmp_path: Path) -> None:
    batch_id, output = ended(runner), tmp_path / "again.jsonl"
    words = ("results", batch_id, "--output", output, "--errors", tmp_path / "e.jsonl")
    assert str(output) in runner.output_of(*words)
    assert output.read_bytes() == ANSWERS
    assert "--yes" in runner.refused(*words)
    runner.output_of(*words, "--yes")
    runner.output_of(*words, given=AtTheKeyboard(b"y\n"))
    assert output.read_bytes() == ANSWERS


def test_result_files_are_named_after_the_batch(
    runner: BatchCliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    batch_id = ended(runner)
    runner.output_of("results", batch_id)
    assert [path.name for path in tmp_path.glob("batch_*")] == [f"{batch_id}.output.jsonl"]


def test_results_of_a_running_batch_can_be_waited_for(
    runner: BatchCliRunner, tmp_path: Path
) -> None:
    batch, output = runner.batch(), tmp_path / "o.jsonl"
    runner.begin(batch, 1)
    words = ("results", batch.id, "--output", output, "--errors", tmp_path / "e.jsonl")
    message = runner.refused(*words)
    assert "in_progress" in message
    assert "--wait" in message

    def end() -> None:
        time.sleep(0.2)
        runner.end(batch, output=ANSWERS)

    thread = threading.Thread(target=end)
    thread.start()
    runner.output_of(*words, "--wait")
    thread.join()
    assert output.read_bytes() == ANSWERS


def test_missing_results_are_reported(runner: BatchCliRunner, tmp_path: Path) -> None:
    batch_id = ended(runner)
    key = f"{runner.only_batch().results}output.jsonl"
    moto().client("s3").delete_object(Bucket=runner.bucket, Key=key)
    output = tmp_path / "o.jsonl"
    assert "does not exist" in runner.refused("results", batch_id, "--output", output)
    assert not output.exists()

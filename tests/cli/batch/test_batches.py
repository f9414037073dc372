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
from tests.cli.batch.conftest import AtTheKeyboard, BatchOffice

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = b'{"custom_id": "row-1"}\n'


def ended(office: BatchOffice, **more: Any) -> str:
    """The id of a batch that has one answer, and nothing wrong with it."""
    batch = office.batch(**more)
    office.begin(batch, 1)
    office.store.add_counts(batch.owner, batch.id, 1, 0)
    office.end(batch, output=ANSWERS)
    return batch.id


def listed(office: BatchOffice, *words: str) -> list[str]:
    return [each["id"] for each in json.loads(office.said("list", "--json", *words))]


def test_own_batches_are_listed_the_newest_first(office: BatchOffice) -> None:
    ids = [office.batch().id for _ in range(3)]
    office.batch(owner="somebody")
    assert listed(office) == ids[::-1]
    assert listed(office, "--limit", "2") == ids[:0:-1]
    shown = office.said("list")
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ids[::-1]


def test_all_owners_batches_are_listed_the_newest_first(office: BatchOffice) -> None:
    ids = [office.batch(owner=owner).id for owner in ("one", "operator", "two")]
    assert listed(office, "--all") == ids[::-1]
    assert listed(office, "--all", "--limit", "1") == ids[2:]


def test_a_client_s_batches_are_listed_by_its_name(office: BatchOffice) -> None:
    client = ClientProfile(
        id="0123456789ab", name="team", created_at=1, plan_id="p", limits=ClientLimits()
    )
    ClientProfiles(local_stack(office.root / ".relay-local.json").clients_table()).add(client)
    office.batch()
    batch = office.batch(owner=client.id)
    assert listed(office, "--client", "team") == [batch.id]


@pytest.mark.parametrize("look", ["list", "show {}"])
def test_a_batch_whose_submitter_died_is_started_by_a_look_at_it(
    office: BatchOffice, look: str
) -> None:
    office.batch()
    stranded = office.batch(created_at=int(time.time()) - 600)
    assert stranded.id in office.said(*look.format(stranded.id).split())
    assert office.executions() == {stranded.id: {"owner": "operator", "batch": stranded.id}}


def test_no_batches_are_told_with_how_to_submit_one(office: BatchOffice) -> None:
    assert "relay batch submit" in office.said("list")


@pytest.mark.parametrize(
    "words", [("--limit", "0"), ("--client", "x", "--all"), ("--client", "nobody")]
)
def test_lists_without_sense_are_refused(office: BatchOffice, words: tuple[str, ...]) -> None:
    office.refused("list", *words)


def test_json_is_the_document_of_the_api(office: BatchOffice) -> None:
    batch_id = ended(office, metadata={"run": "7"})
    done = office.relay("show", batch_id, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    batch = office.only_batch()
    assert json.loads(done.stdout) == batch.document()
    assert batch.document()["status"] == "completed"


def test_a_table_for_people_tells_state_rows_cost_and_places(office: BatchOffice) -> None:
    batch_id = ended(office, metadata={"run": "7"})
    shown = office.said("show", batch_id)
    batch = office.only_batch()
    place = f"s3://{office.bucket}/{batch.results}output.jsonl"
    for words in ("completed", "1: 1 done, 0 failed", "$0.00125", "run=7", place):
        assert words in shown
    assert "errors.jsonl" not in shown


def test_bad_lines_are_shown_by_number(office: BatchOffice) -> None:
    batch = office.batch()
    error = {"code": "invalid_json_line", "line": 12, "message": "Not [JSON].", "param": None}
    office.refuse(batch, error)
    shown = office.said("show", batch.id)
    (line,) = (line for line in shown.splitlines() if "invalid_json_line" in line)
    assert line.split()[0] == "12"
    assert "Not [JSON]." in line


def test_a_batch_of_any_owner_is_found_by_its_id(office: BatchOffice) -> None:
    batch = office.batch(owner="somebody")
    assert json.loads(office.said("show", batch.id, "--json"))["id"] == batch.id
    assert "somebody" in office.said("show", batch.id)


@pytest.mark.parametrize("command", ["show", "cancel", "results"])
def test_an_id_of_no_batch_is_told(office: BatchOffice, command: str) -> None:
    office.batch()
    assert "no batch batch_x" in office.refused(command, "batch_x")


def test_a_batch_that_runs_is_cancelled(office: BatchOffice) -> None:
    batch = office.batch()
    office.begin(batch, 5)
    assert office.said("cancel", batch.id) == f"{batch.id} is cancelling."
    assert office.only_batch().status == "cancelling"
    closing = {"owner": "operator", "batch": batch.id, "close": True}
    assert office.executions() == {f"{batch.id}-close": closing}


def test_a_batch_that_has_ended_cannot_be_cancelled(office: BatchOffice) -> None:
    assert "'completed'" in office.refused("cancel", ended(office))
    assert office.executions() == {}


def test_results_are_downloaded_whenever_somebody_asks(office: BatchOffice, tmp_path: Path) -> None:
    batch_id, output = ended(office), tmp_path / "again.jsonl"
    words = ("results", batch_id, "--output", output, "--errors", tmp_path / "e.jsonl")
    assert str(output) in office.said(*words)
    assert output.read_bytes() == ANSWERS
    assert "--yes" in office.refused(*words)
    office.said(*words, "--yes")
    office.said(*words, given=AtTheKeyboard(b"y\n"))
    assert output.read_bytes() == ANSWERS


def test_results_are_called_after_the_batch(
    office: BatchOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    batch_id = ended(office)
    office.said("results", batch_id)
    assert [path.name for path in tmp_path.glob("batch_*")] == [f"{batch_id}.output.jsonl"]


def test_results_of_a_batch_that_runs_can_be_waited_for(
    office: BatchOffice, tmp_path: Path
) -> None:
    batch, output = office.batch(), tmp_path / "o.jsonl"
    office.begin(batch, 1)
    words = ("results", batch.id, "--output", output, "--errors", tmp_path / "e.jsonl")
    told = office.refused(*words)
    assert "in_progress" in told
    assert "--wait" in told

    def end() -> None:
        time.sleep(0.2)
        office.end(batch, output=ANSWERS)

    thread = threading.Thread(target=end)
    thread.start()
    office.said(*words, "--wait")
    thread.join()
    assert output.read_bytes() == ANSWERS


def test_results_that_are_gone_are_told(office: BatchOffice, tmp_path: Path) -> None:
    batch_id = ended(office)
    key = f"{office.only_batch().results}output.jsonl"
    moto().client("s3").delete_object(Bucket=office.bucket, Key=key)
    output = tmp_path / "o.jsonl"
    assert "does not exist" in office.refused("results", batch_id, "--output", output)
    assert not output.exists()

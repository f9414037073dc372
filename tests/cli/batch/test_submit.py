"""`relay batch submit`: what is checked, asked and sent."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from cli.aws.target_stack import local_stack, target_flags
from cli.main import main
from cli.services.clients import ClientProfile, ClientProfiles
from llm_relay.batch.model.record import VALIDATING
from llm_relay.core.client import ClientLimits
from local.aws_emulator.moto_server import moto
from tests.cli.batch.conftest import CANARY, CHAT, AtTheKeyboard, BatchCliRunner, row

if TYPE_CHECKING:
    from pathlib import Path

NO_LIMITS = ClientLimits()


def assert_nothing_was_sent(runner: BatchCliRunner) -> None:
    assert runner.keys() == []
    assert runner.executions() == {}
    scanned = moto().client("dynamodb").scan(TableName=runner.note()["BatchesTable"])
    assert scanned["Items"] == []


def add_client(
    runner: BatchCliRunner, limits: ClientLimits = NO_LIMITS, *, revoked: bool = False
) -> ClientProfile:
    client = ClientProfile(id="0123456789ab", name="team", created_at=1, plan_id="p", limits=limits)
    clients = ClientProfiles(local_stack(runner.root / ".relay-local.json"))
    clients.add(client)
    if revoked:
        clients.mark_revoked(client, 2)
    return client


def test_a_file_is_sent_as_it_is_and_its_batch_is_started(runner: BatchCliRunner) -> None:
    path, before = runner.file(row(1), "", row(2)), int(time.time())
    batch_id = runner.output_of("submit", path, "--endpoint", CHAT, "--yes")
    batch = runner.only_batch()
    assert (batch.id, batch.status, batch.endpoint) == (batch_id, VALIDATING, CHAT)
    assert (batch.client.budget_nanos, batch.metadata) == (None, None)
    assert before <= batch.created_at == batch.expires_at - 86_400
    assert runner.keys() == [batch.input_key]
    assert runner.content(batch.input_key) == path.read_bytes()
    file = runner.store.file("operator", batch.input_file_id)
    assert file
    assert (file.filename, file.bytes, file.key) == (
        "questions.jsonl",
        path.stat().st_size,
        batch.input_key,
    )
    assert runner.executions() == {batch_id: {"owner": "operator", "batch": batch_id}}


def test_stdout_is_only_the_id_and_stderr_says_how_to_follow_the_batch(
    runner: BatchCliRunner,
) -> None:
    done = runner.relay("submit", runner.file(row(1)), "--yes")
    assert done.exit_code == 0
    assert done.stdout == f"{runner.only_batch().id}\n"
    for command in ("show", "results", "cancel"):
        assert f"relay batch {command} {done.stdout.strip()}" in done.stderr
    assert done.stderr.count(" --local\n") == 3
    assert CANARY not in done.output


def test_suggested_commands_repeat_the_stack_options() -> None:
    words = ["--stack-name", "my stack", "--region", "eu-west-1", "batch"]
    with main.make_context("relay", words):
        assert target_flags() == " --stack-name 'my stack' --region eu-west-1"


def test_the_endpoint_defaults_to_that_of_the_first_row(runner: BatchCliRunner) -> None:
    body = {"model": "abliterated-model", "input": "x"}
    path = runner.file({**row(1), "url": "/v1/responses", "body": body})
    runner.output_of("submit", path, "--yes")
    assert runner.only_batch().endpoint == "/v1/responses"


def test_bad_lines_are_reported_by_number_and_nothing_is_sent(runner: BatchCliRunner) -> None:
    path = runner.file(row(1), "{", row(1), row(2, stream=True), row(3))
    done = runner.relay("submit", path, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    by_line = {line.split()[0]: line for line in done.stderr.splitlines() if line[:1].isdigit()}
    assert {*by_line} == {"2", "3", "4"}
    assert "JSON" in by_line["2"]
    assert "line 1" in by_line["3"]
    assert "body.stream" in by_line["4"]
    assert "3 bad lines of 5" in done.stderr
    assert "more" not in done.stderr
    assert CANARY not in done.output
    assert_nothing_was_sent(runner)


def test_at_most_twenty_mistakes_are_shown_and_all_are_counted(runner: BatchCliRunner) -> None:
    rows = (row(number // 2) for number in range(50))
    message = runner.refused("submit", runner.file(*rows), "--yes")
    lines = [line.split()[0] for line in message.splitlines() if line[:1].isdigit()]
    assert lines == [str(number) for number in range(2, 42, 2)]
    assert "… and 5 more." in message
    assert "25 bad lines of 50" in message


def test_the_same_mistake_is_reported_once_with_its_first_lines(runner: BatchCliRunner) -> None:
    message = runner.refused(
        "submit", runner.file(row(0), *["{"] * 25, row(1, stream=True)), "--yes"
    )
    lines = [line for line in message.splitlines() if line[:1].isdigit()]
    assert [line.split("  ")[0] for line in lines] == ["2, 3, 4 and 22 more", "27"]
    assert "26 bad lines of 27" in message


def test_one_bad_line_is_one_line(runner: BatchCliRunner) -> None:
    assert "1 bad line of 1;" in runner.refused("submit", runner.file("{"), "--yes")


def test_a_row_for_another_endpoint_is_a_bad_line(runner: BatchCliRunner) -> None:
    message = runner.refused("submit", runner.file(row(1)), "--yes", "--endpoint", "/v1/responses")
    assert "mismatched_url" in message


def test_an_empty_file_is_refused(runner: BatchCliRunner) -> None:
    message = runner.refused("submit", runner.file(), "--yes")
    assert "contains no requests" in message
    assert "bad line" not in message
    assert_nothing_was_sent(runner)


def test_without_a_terminal_nothing_is_sent(runner: BatchCliRunner) -> None:
    message = runner.refused("submit", runner.file(row(1)))
    assert "--yes" in message
    assert_nothing_was_sent(runner)


@pytest.mark.parametrize(("answer", "status", "sent"), [(b"y\n", 0, 1), (b"n\n", 1, 0)])
def test_on_a_terminal_the_user_is_prompted(
    runner: BatchCliRunner, answer: bytes, status: int, sent: int
) -> None:
    done = runner.relay("submit", runner.file(row(1)), given=AtTheKeyboard(answer))
    assert done.exit_code == status
    assert "Submit it?" in done.stderr
    assert len(runner.executions()) == sent


def test_a_client_s_batch_is_its_own_with_its_limits(runner: BatchCliRunner) -> None:
    limits = ClientLimits(
        budget_nanos=5,
        budget_per="month",
        models=frozenset({"abliterated-model"}),
        max_output_tokens=100,
    )
    client = add_client(runner, limits)
    runner.output_of("submit", runner.file(row(1)), "--yes", "--client", "team")
    held = runner.only_batch(client.id).client
    assert (held.id, held.budget_nanos, held.budget_per) == (client.id, 5, "month")
    assert (held.models, held.max_output_tokens) == (limits.models, 100)


def test_a_request_that_the_client_may_not_send_is_a_bad_line(runner: BatchCliRunner) -> None:
    add_client(runner, ClientLimits(models=frozenset({"another"}), max_output_tokens=50))
    message = runner.refused("submit", runner.file(row(1)), "--yes", "--client", "team")
    assert "another" in message
    assert_nothing_was_sent(runner)


def test_a_revoked_client_has_no_batches(runner: BatchCliRunner) -> None:
    add_client(runner, revoked=True)
    message = runner.refused("submit", runner.file(row(1)), "--yes", "--client", "team")
    assert "revoked" in message
    assert_nothing_was_sent(runner)


def test_metadata_is_stored(runner: BatchCliRunner) -> None:
    notes = ("--metadata", "run=7", "--metadata", "sum=a=b")
    runner.output_of("submit", runner.file(row(1)), "--yes", *notes)
    assert runner.only_batch().metadata == {"run": "7", "sum": "a=b"}


@pytest.mark.parametrize(
    "words",
    [
        ("--metadata", "no-sign"),
        ("--metadata", "=x"),
        ("--metadata", "x" * 65 + "=y"),
        ("--metadata", "x=" + "y" * 513),
        tuple(word for n in range(17) for word in ("--metadata", f"n{n}=x")),
        ("--endpoint", "/v1/embeddings"),
        ("--price-in", "1"),
        ("--price-in", "-1", "--price-out", "1"),
        ("--no-wait", "--output", "x"),
        ("--output", "x", "--errors", "x"),
        ("--client", "unknown"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_sent(
    runner: BatchCliRunner, words: tuple[str, ...]
) -> None:
    runner.refused("submit", runner.file(row(1)), "--yes", *words)
    assert_nothing_was_sent(runner)


def test_a_missing_file_is_refused(runner: BatchCliRunner, tmp_path: Path) -> None:
    assert "does not exist" in runner.refused("submit", tmp_path / "absent.jsonl")


def test_a_file_of_many_megabytes_arrives_whole(runner: BatchCliRunner) -> None:
    text = {"role": "user", "content": "x" * 3_000_000}
    path = runner.file(*(row(number, messages=[text]) for number in range(4)))
    runner.output_of("submit", path, "--yes")
    assert runner.content(runner.only_batch().input_key) == path.read_bytes()


def test_a_batch_that_cannot_be_started_is_reported_and_never_runs(runner: BatchCliRunner) -> None:
    resources = runner.note() | {"BatchStateMachine": f"{runner.note()['BatchStateMachine']}-gone"}
    runner.change_note(resources=resources)
    message = runner.refused("submit", runner.file(row(1)), "--yes")
    assert "could not be started" in message
    assert "StateMachineDoesNotExist" in message
    assert runner.only_batch().status == "failed"


def test_a_stack_without_batches_must_be_deployed(runner: BatchCliRunner) -> None:
    runner.change_note(resources={})
    assert "sam deploy" in runner.refused("submit", runner.file(row(1)), "--yes")


def test_an_aws_refusal_is_not_a_traceback(runner: BatchCliRunner) -> None:
    runner.change_note(resources=runner.note() | {"BatchBucket": "gone"})
    assert "NoSuchBucket" in runner.refused("submit", runner.file(row(1)), "--yes")
    assert json.dumps(runner.store.batches("operator", None, 1)) == "[]"

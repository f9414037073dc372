"""Waiting for a batch, and what is downloaded."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.aws.target_stack import local_stack
from cli.output.progress import follow
from cli.services.batch_client import BatchClient
from local.aws_emulator.moto_server import moto
from tests.cli.batch.conftest import TIMEOUT_SECONDS, AtTheKeyboard, BatchCliRunner, row
from tests.support.dynamodb_proxy import RESET_BEFORE_EXECUTION, UNAVAILABLE, DynamoDbProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_relay.batch.model.record import Batch

    Engine = Callable[[Callable[[Batch], None]], None]

ROOT = Path(__file__).resolve().parents[3]
# The session's leader takes stdin for its terminal, so that Ctrl-C reaches it.
RELAY = """
import fcntl, pathlib, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a suite in the background ignores
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from cli.main import main
main(obj=pathlib.Path(sys.argv.pop(1)))
"""
CTRL_C = b"\x03"
ANSWERS, REFUSALS = b'{"custom_id": "row-1"}\n', b'{"custom_id": "row-2"}\n'


def well(runner: BatchCliRunner) -> Callable[[Batch], None]:
    """Run a batch of one row that is answered."""

    def work(batch: Batch) -> None:
        runner.begin(batch, 1)
        runner.store.add_counts(batch.owner, batch.id, 1, 0)
        runner.end(batch, output=ANSWERS)

    return work


def in_part(runner: BatchCliRunner) -> Callable[[Batch], None]:
    """Run a batch of two rows of which one fails."""

    def work(batch: Batch) -> None:
        runner.begin(batch, 2)
        runner.store.add_counts(batch.owner, batch.id, 1, 1)
        runner.end(batch, output=ANSWERS, errors=REFUSALS)

    return work


def test_answers_are_downloaded_at_the_end(runner: BatchCliRunner, engine: Engine) -> None:
    engine(well(runner))
    done = runner.relay("submit", runner.file(row(1)), "--yes", "--wait")
    assert done.exit_code == 0, done.output
    assert (runner.root / "questions.output.jsonl").read_bytes() == ANSWERS
    assert not (runner.root / "questions.errors.jsonl").exists()
    for words in (runner.only_batch().id, "completed", "1: 1 done, 0 failed", "$0.00125"):
        assert words in done.stdout
    assert "1/1" in done.stderr


def test_failed_rows_become_an_error_file_and_exit_status_1(
    runner: BatchCliRunner, engine: Engine, tmp_path: Path
) -> None:
    output, errors = tmp_path / "o.jsonl", tmp_path / "e.jsonl"
    engine(in_part(runner))
    path = runner.file(row(1), row(2))
    message = runner.refused("submit", path, "--yes", "--output", output, "--errors", errors)
    assert (output.read_bytes(), errors.read_bytes()) == (ANSWERS, REFUSALS)
    assert "1 of 2 rows failed" in message
    assert "e.jsonl" in message


def test_a_batch_that_the_stack_refuses_is_reported_line_by_line(
    runner: BatchCliRunner, engine: Engine
) -> None:
    error = {"code": "model_not_found", "line": 7, "message": "No such model.", "param": "body"}
    engine(lambda batch: runner.refuse(batch, error))
    done = runner.relay("submit", runner.file(row(1)), "--yes", "--wait")
    assert done.exit_code == 1
    assert "is failed" in done.stderr
    for words in ("7", "model_not_found", "No such model."):
        assert words in done.stdout
    assert not (runner.root / "questions.output.jsonl").exists()


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_answers_of_a_batch_that_ended_early_are_downloaded(
    runner: BatchCliRunner, engine: Engine, status: str
) -> None:
    def work(batch: Batch) -> None:
        runner.begin(batch, 2)
        runner.store.add_counts(batch.owner, batch.id, 1, 0)
        runner.end(batch, status, output=ANSWERS)

    engine(work)
    message = runner.refused("submit", runner.file(row(1), row(2)), "--yes", "--wait")
    assert f"is {status}" in message
    assert (runner.root / "questions.output.jsonl").read_bytes() == ANSWERS


@pytest.fixture
def dynamodb_proxy(
    runner: BatchCliRunner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DynamoDbProxy]:
    """The way to DynamoDB, which can break."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with DynamoDbProxy(moto().url) as dynamodb_proxy:
        runner.change_note(aws_endpoint_url=dynamodb_proxy.url)
        yield dynamodb_proxy


def test_a_short_network_outage_does_not_end_the_wait(
    runner: BatchCliRunner, dynamodb_proxy: DynamoDbProxy
) -> None:
    batch = runner.batch()

    def fault(_operation: str) -> str | None:
        if len(dynamodb_proxy.operations) == 3:
            runner.refuse(batch, {"code": "x", "line": 1, "message": "Bad."})
        return RESET_BEFORE_EXECUTION if len(dynamodb_proxy.operations) in {2, 3} else None

    dynamodb_proxy.fault = fault
    assert "is failed" in runner.refused("results", batch.id, "--wait")
    assert dynamodb_proxy.operations == ["GetItem"] * 4


def test_when_polling_fails_the_commands_to_continue_are_reported(
    runner: BatchCliRunner, dynamodb_proxy: DynamoDbProxy
) -> None:
    batch = runner.batch()
    dynamodb_proxy.fault = lambda _operation: (
        UNAVAILABLE if len(dynamodb_proxy.operations) == 2 else None
    )
    message = runner.refused("results", batch.id, "--wait")
    assert "InternalServerError" in message
    assert f"relay batch show {batch.id} --local" in message


def test_existing_files_are_replaced_if_the_user_agrees(
    runner: BatchCliRunner, engine: Engine
) -> None:
    path = runner.file(row(1))
    for kind in ("output", "errors"):
        (runner.root / f"questions.{kind}.jsonl").write_text("of an earlier batch")
    engine(well(runner))
    runner.output_of("submit", path, "--wait", given=AtTheKeyboard(b"y\ny\ny\n"))
    assert (runner.root / "questions.output.jsonl").read_bytes() == ANSWERS
    assert not (runner.root / "questions.errors.jsonl").exists()


def test_answers_of_an_earlier_batch_do_not_stay_when_no_row_is_answered(
    runner: BatchCliRunner, engine: Engine
) -> None:
    def work(batch: Batch) -> None:
        runner.begin(batch, 1)
        runner.store.add_counts(batch.owner, batch.id, 0, 1)
        runner.end(batch, errors=REFUSALS)

    (runner.root / "questions.output.jsonl").write_text("of an earlier batch")
    engine(work)
    assert "1 of 1 rows failed" in runner.refused("submit", runner.file(row(1)), "--yes", "--wait")
    assert not (runner.root / "questions.output.jsonl").exists()
    assert (runner.root / "questions.errors.jsonl").read_bytes() == REFUSALS


@pytest.mark.parametrize(("kind", "other"), [("output", "errors"), ("errors", "output")])
def test_a_named_file_is_emptied_if_there_are_no_such_results(
    runner: BatchCliRunner, engine: Engine, kind: str, other: str
) -> None:
    named = runner.root / "keep.jsonl"
    named.write_text("of an earlier batch")

    def work(batch: Batch) -> None:
        runner.begin(batch, 1)
        results: dict[str, Any] = {other: ANSWERS}
        runner.end(batch, **results)

    engine(work)
    runner.output_of("submit", runner.file(row(1)), "--yes", "--wait", f"--{kind}", named)
    assert named.read_bytes() == b""
    assert (runner.root / f"questions.{other}.jsonl").read_bytes() == ANSWERS


@pytest.mark.parametrize("option", ["--output", "--errors"])
@pytest.mark.parametrize("way", ["itself", "around", "link"])
def test_results_never_overwrite_the_request_file(
    runner: BatchCliRunner, option: str, way: str, tmp_path: Path
) -> None:
    path = runner.file(row(1))
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "folder").mkdir()
    ways = {"itself": path, "around": tmp_path / "folder" / ".." / path.name}
    place, before = ways.get(way, tmp_path / "link"), path.read_bytes()
    message = runner.refused("submit", path, "--yes", "--wait", option, place)
    assert "would replace the requests" in message
    assert path.read_bytes() == before
    assert runner.keys() == []


def test_two_paths_of_one_file_are_refused(runner: BatchCliRunner, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    places = ("--output", tmp_path / "o", "--errors", tmp_path / "folder" / ".." / "o")
    message = runner.refused("submit", runner.file(row(1)), "--yes", "--wait", *places)
    assert "name the same file" in message
    assert runner.keys() == []


def test_existing_files_are_kept_without_a_terminal(runner: BatchCliRunner) -> None:
    path, kept = runner.file(row(1)), runner.root / "questions.output.jsonl"
    kept.write_text("kept")
    assert "--yes" in runner.refused("submit", path, "--wait")
    assert kept.read_text() == "kept"
    assert runner.keys() == []


def test_a_missing_folder_is_reported_before_anything_is_sent(
    runner: BatchCliRunner,
) -> None:
    absent = runner.root / "absent" / "o.jsonl"
    assert "does not exist" in runner.refused(
        "submit", runner.file(row(1)), "--yes", "--output", absent
    )
    assert runner.keys() == []


@pytest.fixture
def terminal(runner: BatchCliRunner) -> Iterator[Terminal]:
    """A terminal on which a file was just submitted."""
    words = [str(runner.root), "batch", "submit", str(runner.file(row(1))), "--yes", "--local"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-c", RELAY, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/layers/llm_relay", "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    yield Terminal(ours, process)
    process.kill()
    process.wait()
    os.close(ours)


def followed(runner: BatchCliRunner, batch: Batch, *, seconds: float) -> None:
    """Waits for a batch, with so much time between two looks at the clock."""
    client = BatchClient(local_stack(runner.root / ".relay-local.json"))
    ticks = itertools.count()
    follow(client, batch, clock=lambda: seconds * next(ticks))


def test_without_a_terminal_progress_is_printed_every_minute(
    runner: BatchCliRunner, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = runner.batch()
    runner.begin(batch, 4000)
    runner.store.add_counts(batch.owner, batch.id, 1200, 34)
    engine(lambda found: runner.end(found, output=ANSWERS))
    followed(runner, runner.only_batch(), seconds=60)
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == "in_progress  1,234/4,000 rows  34 failed"
    assert printed.out == ""


def test_a_batch_that_ends_within_a_minute_is_reported_only_at_its_end(
    runner: BatchCliRunner, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.begin(runner.batch(), 1)
    engine(lambda found: runner.end(found, output=ANSWERS))
    followed(runner, runner.only_batch(), seconds=0)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("completed")


@dataclass(frozen=True)
class Terminal:
    """A terminal, seen from its glass, and the command that runs in it."""

    glass: int
    command: subprocess.Popen[bytes]

    def shown(self, words: bytes) -> bytes:
        """Everything that is shown until some words are."""
        found, deadline = b"", time.monotonic() + TIMEOUT_SECONDS
        while words not in found:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.glass], [], [], left)[0], found
            found += os.read(self.glass, 65_536)
        return found


def test_on_a_terminal_a_bar_shows_completed_rows(
    runner: BatchCliRunner, terminal: Terminal
) -> None:
    terminal.shown(b"validating")
    batch = runner.only_batch()
    runner.begin(batch, 40)
    terminal.shown(b"0/40")
    runner.store.add_counts(batch.owner, batch.id, 29, 1)
    terminal.shown(b"30/40")
    screen = terminal.shown(b"1 failed")
    runner.store.add_counts(batch.owner, batch.id, 10, 0)
    runner.end(batch, output=ANSWERS, errors=REFUSALS)
    screen = terminal.shown(b"1 of 40 rows failed")
    assert b"40/40" in screen
    assert b"rows/s" in screen
    assert terminal.command.wait(TIMEOUT_SECONDS) == 1


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_resume(
    runner: BatchCliRunner, terminal: Terminal
) -> None:
    terminal.shown(b"validating")
    os.write(terminal.glass, CTRL_C)
    screen = terminal.shown(b"relay batch cancel")
    assert terminal.command.wait(TIMEOUT_SECONDS) == 130
    batch = runner.only_batch()
    assert batch.status == "validating"
    assert f"relay batch show {batch.id} --local".encode() in screen
    assert f"relay batch results {batch.id} --wait --local".encode() in screen
    assert b"Traceback" not in screen

"""The AWS that batches need, an engine moved by hand, and `relay batch` run against them."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from llm_relay.batch.model import names
from llm_relay.batch.model.record import FAILED, IN_PROGRESS, VALIDATING, Batch
from llm_relay.batch.model.store import Store
from llm_relay.core.client import Client
from local.aws_emulator.moto_server import moto
from local.cloudformation.intrinsics import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHAT = "/v1/chat/completions"
CANARY = "canary-of-a-prompt"
TIMEOUT_SECONDS = 60  # seconds; far more than anything here takes
_NUMBERS = itertools.count()
_KEYS = [("pk", "HASH"), ("sk", "RANGE")]
_MACHINE = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


class AtTheKeyboard(io.BytesIO):
    """A stdin that is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class BatchCliRunner:
    """A stack that has batches and nothing else; `root` is the folder that its note is in."""

    root: Path
    bucket: str
    store: Store

    def relay(self, *arguments: str | Path, given: Any = None, **more: Any) -> Result:
        """Runs `relay batch ... --local`, with something on stdin if it is given."""
        words = ["batch", *map(str, arguments), "--local"]
        return CliRunner().invoke(main, words, input=given, obj=self.root, **more)

    def output_of(self, *arguments: str | Path, **more: Any) -> str:
        """Runs a command that must succeed; returns its output without the line's end."""
        done = self.relay(*arguments, **more)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def refused(self, *arguments: str | Path, **more: Any) -> str:
        """Runs a command that must end with 1, or 2 and its usage; what it says."""
        done = self.relay(*arguments, **more)
        status = 2 if done.stderr.startswith("Usage: ") else 1
        assert (done.exit_code, type(done.exception)) == (status, SystemExit), done.output
        assert done.stderr.strip()
        return done.stderr

    def file(self, *rows: Any, name: str = "questions.jsonl") -> Path:
        """Writes rows to a file: documents, or text as it is."""
        path = self.root / name
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def batch(self, owner: str = names.OPERATOR, **more: Any) -> Batch:
        """Keeps the record of a batch."""
        now, batch_id = int(time.time()), names.new_id("batch_")
        facts: dict[str, Any] = {
            "id": batch_id,
            "owner": owner,
            "client": Client(id="", key_id=owner),
            "endpoint": CHAT,
            "input_file_id": "file-1",
            "input_key": names.upload_key(owner, "file-1"),
            "results": names.batch_prefix(batch_id),
            "created_at": now,
            "expires_at": now + 86_400,
        }
        batch = Batch(**(facts | more))
        assert self.store.add(batch)
        return batch

    def only_batch(self, owner: str = names.OPERATOR) -> Batch:
        (batch,) = self.store.batches(owner, None, 10)
        return batch

    def keys(self) -> list[str]:
        found = moto().client("s3").list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in found.get("Contents", [])]

    def content(self, key: str) -> bytes:
        held: bytes = moto().client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return held

    def executions(self) -> dict[str, Any]:
        """The executions that were started: their inputs, by name."""
        machines, arn = moto().client("stepfunctions"), self.note()["BatchStateMachine"]
        found = machines.list_executions(stateMachineArn=arn)["executions"]
        asked = (machines.describe_execution(executionArn=each["executionArn"]) for each in found)
        return {each["name"]: json.loads(each["input"]) for each in asked}

    def note(self) -> Any:
        return json.loads((self.root / ".relay-local.json").read_text())["resources"]

    def change_note(self, **changes: Any) -> None:
        path = self.root / ".relay-local.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def begin(self, batch: Batch, total: int) -> None:
        """Does what planning a batch does to its record."""
        now = {"in_progress_at": int(time.time())}
        self._change(batch, VALIDATING, status=IN_PROGRESS, total=total, times=now)

    def refuse(self, batch: Batch, *errors: dict[str, Any]) -> None:
        """Does what a file with bad lines does to its batch."""
        times = {"failed_at": int(time.time())}
        values = {"errors": [*errors], "error_count": len(errors), "times": times}
        self._change(batch, VALIDATING, status=FAILED, **values)

    def end(self, batch: Batch, status: str = "completed", **results: bytes) -> None:
        """Does what putting results together does; `output` and `errors` are files."""
        for kind, content in results.items():
            key = f"{batch.results}{kind}.jsonl"
            moto().client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        ids = {"output": "output_file_id", "errors": "error_file_id"}
        values: dict[str, Any] = {
            ids[kind]: names.result_file_id(batch.id, kind) for kind in results
        }
        values |= {"cost_nanos": 1_250_000, "times": {f"{status}_at": int(time.time())}}
        self._change(batch, IN_PROGRESS, status=status, **values)

    def _change(self, batch: Batch, state: str, **values: Any) -> None:
        assert self.store.update_batch(batch.owner, batch.id, {state}, **values)[0]


@pytest.fixture
def runner(tmp_path: Path) -> BatchCliRunner:
    name = f"batch-runner-{next(_NUMBERS)}"
    aws = moto()
    aws.client("s3").create_bucket(Bucket=name)
    for table in (f"{name}-batches", f"{name}-clients"):
        aws.client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in _KEYS],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in _KEYS],
        )
    machine = aws.client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps(_MACHINE),
        roleArn="arn:aws:iam::123456789012:role/batch",
    )
    resources = {
        "BatchBucket": name,
        "BatchesTable": f"{name}-batches",
        "BatchStateMachine": machine["stateMachineArn"],
        "ClientsTable": f"{name}-clients",
    }
    note = {
        "base_url": "http://127.0.0.1:9/v1",
        "client_key": "sk-relay-test",
        "aws_endpoint_url": aws.url,
        "aws_region": REGION,
        "resources": resources,
        "parameters": {"ProviderDialect": "abliteration"},
    }
    (tmp_path / ".relay-local.json").write_text(json.dumps(note))
    store = Store(resources["BatchesTable"], lambda: aws.client("dynamodb"))
    return BatchCliRunner(tmp_path, name, store)


@pytest.fixture
def engine(runner: BatchCliRunner) -> Iterator[Callable[..., None]]:
    """Lets a function do to the operator's next batch what the stack would do, meanwhile."""
    threads: list[threading.Thread] = []
    failures: list[BaseException] = []

    def run(work: Callable[[Batch], None]) -> None:
        try:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while not (found := runner.store.batches(names.OPERATOR, None, 1)):
                assert time.monotonic() < deadline, "no batch was submitted"
                time.sleep(0.02)
            work(found[0])
        except BaseException as error:  # noqa: BLE001 - reported at the end of the test
            failures.append(error)

    def start(work: Callable[[Batch], None]) -> None:
        thread = threading.Thread(target=run, args=(work,))
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join()
    assert not failures


def row(number: int, **body: Any) -> dict[str, Any]:
    """A request that nothing is wrong with."""
    message = {"role": "user", "content": CANARY}
    asked = {"model": "abliterated-model", "messages": [message], "max_tokens": 100}
    return {"custom_id": f"row-{number}", "method": "POST", "url": CHAT, "body": asked | body}

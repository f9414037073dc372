"""Uses a stack in all of its ways, so that whatever its functions ask of AWS is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
import pytest
import requests

from llm_relay.batch.api.submit import cancel
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.store import Store
from tests.e2e.batch.batches import CHAT, MODEL, chat_row, ended, jsonl, submit, wait_for

if TYPE_CHECKING:
    from openai.types import Batch

    from local.stack import Stack

MESSAGES: Any = [{"role": "user", "content": "Reply with: it works"}]
GOOD = chat_row("good", "hi")
REFUSED = chat_row("refused", "hi", f"{MODEL}@status=400")
# Asked for again by a second worker, once the first has ended.
LATE = chat_row("late", "hi", f"{MODEL}@id=late;status=429;times=1;retry-after=6")
INPUT_DELETED = chat_row(
    "input-deleted", "hi", f"{MODEL}@id=input-deleted;status=429;times=1;retry-after=6"
)
# More than a worker of this stack asks in a minute.
SLOW_ROWS = 200
BROKEN = b"{not json\n"


@dataclass(frozen=True)
class User:
    """A user with clients, and with the operator's rights."""

    stack: Stack
    client: openai.OpenAI  # has no budget, so that models may be asked for that have no price
    rich: openai.OpenAI
    poor: openai.OpenAI  # cannot pay for a single row
    webhook_events: dict[str, str] = field(default_factory=dict)  # kinds, by id

    @property
    def bucket(self) -> str:
        return self.stack.template.ref("BatchBucket")

    def drop(self, name: str, content: bytes) -> None:
        """Put a file into the inbox."""
        self.stack.aws("s3").put_object(Bucket=self.bucket, Key=f"inbox/{name}", Body=content)

    def lose(self, prefix: str, name: str) -> None:
        """Take an object away behind everybody's back."""
        s3 = self.stack.aws("s3")
        found = s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["Contents"]
        (key,) = (each["Key"] for each in found if each["Key"].endswith(name))
        s3.delete_object(Bucket=self.bucket, Key=key)

    def wait_for_call(self, name: str) -> None:
        """Wait until the provider is asked for something that names itself like this."""
        provider = self.stack.provider
        assert provider
        wait_for(lambda: any(call.switches.get("id") == name for call in provider.calls))

    def wait_for_event(self, kind: str, times: int) -> None:
        """Wait until the webhook got so many events of a kind."""
        wait_for(lambda: [*self.webhook_events.values()].count(kind) >= times)


def use_everything(user: User) -> None:
    """Each route, each way in, and each end that something can have."""
    send_jobs(user)
    batches = begin_batches(user)
    cut_short(user, batches)
    use_relays(user.rich)
    use_background_responses(user)
    use_files(user.client, user)
    see_a_doctor(user)
    see_the_end(user, batches)


def use_relays(client: openai.OpenAI) -> None:
    """Each route that answers at once: whole and streamed, kept, repeated and refused."""
    chat, responses = client.chat.completions, client.responses
    for number in (1, 1, 2):
        once: Any = {"extra_headers": {"Idempotency-Key": f"a-key-{number}"}}
        chat.create(model=MODEL, messages=MESSAGES, **once)
        responses.create(model=MODEL, input=MESSAGES, **once)
    list(chat.create(model=MODEL, messages=MESSAGES, stream=True))
    list(responses.create(model=MODEL, input=MESSAGES, stream=True))
    refused: Any = {"extra_headers": {"Idempotency-Key": "refused"}}
    with pytest.raises(openai.BadRequestError):
        chat.create(model=MODEL, messages=[], **refused)
    with pytest.raises(openai.BadRequestError):
        responses.create(model=MODEL, input=[], **refused)
    client.models.list()
    base_url = str(client.base_url).rstrip("/")
    for url in (f"{base_url}/usage", base_url.replace("/v1", "/health")):
        headers = {"Authorization": f"Bearer {client.api_key}"}
        assert requests.get(url, headers=headers, timeout=30).status_code == 200


def see_a_doctor(user: User) -> None:
    """The function that looks at the secret and the provider."""
    name = user.stack.template.ref("DoctorFunction")
    report = user.stack.aws("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read()
    assert json.loads(report)["healthy"] is True


def use_files(client: openai.OpenAI, user: User) -> None:
    """A file's whole life; and one whose content is gone."""
    kept, lost = (
        client.files.create(file=("rows.jsonl", jsonl([GOOD])), purpose="batch").id for _ in "ab"
    )
    assert [file.id for file in client.files.list(purpose="batch", limit=2)][:2] == [lost, kept]
    assert client.files.retrieve(kept).id == kept
    assert client.files.content(kept).read() == jsonl([GOOD])
    client.files.delete(kept)
    user.lose("files/", lost)
    with pytest.raises(openai.NotFoundError):
        client.files.content(lost)


def begin_batches(user: User) -> dict[str, Batch]:
    """Batches that run side by side, and end in different ways."""
    client = user.client
    once: Any = {"extra_headers": {"Idempotency-Key": "a-batch"}}
    batches = {
        "whole": submit(client, jsonl([GOOD, REFUSED, LATE]), **once),
        "rich": submit(user.rich, jsonl([GOOD])),
        "poor": submit(user.poor, jsonl([GOOD])),
        "cancelled": submit(client, slow_rows("cancelled")),
        "input-deleted": submit(client, jsonl([GOOD, INPUT_DELETED])),
    }
    unknown: Any = {"endpoint": CHAT, "completion_window": "24h", "input_file_id": "file-none"}
    with pytest.raises(openai.NotFoundError):
        client.batches.create(**unknown, extra_headers={"Idempotency-Key": "in-vain"})
    file = client.files.create(file=("rows.jsonl", jsonl([GOOD])), purpose="batch")
    user.lose("files/", file.id)
    batches["gone"] = client.batches.create(**unknown | {"input_file_id": file.id})
    user.drop("team/whole.jsonl", jsonl([GOOD, REFUSED]))
    user.drop("broken.jsonl", BROKEN)
    user.drop("dropped.jsonl", slow_rows("dropped"))
    return batches


def slow_rows(name: str) -> bytes:
    """Rows that take a while, and name themselves to the provider."""
    model = f"{MODEL}@latency=2;id={name}"
    return jsonl(chat_row(f"slow-{number}", "hi", model) for number in range(SLOW_ROWS))


def cut_short(user: User, batches: dict[str, Batch]) -> None:
    """Cancel two, of which one came through the inbox; take away what a third one reads."""
    client = user.client
    user.wait_for_call("cancelled")
    client.batches.cancel(batches["cancelled"].id)
    user.wait_for_call("input-deleted")
    user.lose("files/", batches["input-deleted"].input_file_id)
    user.wait_for_call("dropped")
    cancel_as_operator(user, "inbox/dropped.jsonl")


def see_the_end(user: User, batches: dict[str, Batch]) -> None:
    """Wait for all batches; read the results of one, and delete them."""
    client = user.client
    whole = ended(client, batches["whole"])
    assert counts(ended(user.rich, batches["rich"])) == (1, 0)
    assert counts(ended(user.poor, batches["poor"])) == (0, 1)
    assert ended(client, batches["gone"]).status == "failed"
    assert ended(client, batches["cancelled"]).status == "cancelled"
    assert counts(ended(client, batches["input-deleted"])) == (1, 1)
    assert len(client.batches.list(limit=2).data) == 2
    for file_id in (whole.output_file_id, whole.error_file_id):
        assert file_id
        assert client.files.content(file_id).read()
        client.files.delete(file_id)
    user.wait_for_event("batch.completed", 5)
    user.wait_for_event("job.completed", 2)
    user.wait_for_event("batch.failed", 2)
    user.wait_for_event("batch.cancelled", 2)


def counts(batch: Batch) -> tuple[int, int]:
    """How many rows of a batch were answered, and how many were not."""
    counted = batch.request_counts
    assert counted
    return counted.completed, counted.failed


def cancel_as_operator(user: User, key: str) -> None:
    """Cancel the batch that was made of an object, as the command line does."""
    ref, aws = user.stack.template.ref, user.stack.aws
    store = Store(ref("BatchesTable"), lambda: aws("dynamodb"))
    (batch,) = (each for each in store.batches(OPERATOR, None, 10) if each.input_key == key)
    cancel(store, aws("stepfunctions"), ref("BatchStateMachine"), OPERATOR, batch.id)


def send_jobs(user: User) -> None:
    """A job that is answered, and one that fails and is tried again after a while."""
    sqs, queue = user.stack.aws("sqs"), user.stack.template.ref("JobsQueue")
    for model in (MODEL, f"{MODEL}@status=503;times=3;id=again"):
        job = {"id": f"job-{len(model)}", "url": CHAT, "body": chat_row("", "hi", model)["body"]}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(job))


def use_background_responses(user: User) -> None:
    """One that ends, one that is cancelled, one that is deleted at work, one whose text is gone."""
    responses = user.client.responses
    later: Any = {"input": "Reply with: later", "background": True}
    ended = user.rich.responses.create(model=MODEL, **later).id
    cancelled = responses.create(model=f"{MODEL}@latency=1", **later).id
    responses.cancel(cancelled)
    deleted = responses.create(model=f"{MODEL}@latency=1;id=deleted", **later).id
    user.wait_for_call("deleted")
    responses.delete(deleted)
    wait_for(lambda: user.rich.responses.retrieve(ended).status == "completed")
    user.lose("responses/", f"{ended}.json")
    with pytest.raises(openai.NotFoundError):
        user.rich.responses.retrieve(ended)

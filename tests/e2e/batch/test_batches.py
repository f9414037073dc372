"""Batches through the whole local stack, as the official client and the AWS tools see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.e2e.batch.batches import (
    CHAT,
    RESPONSES,
    by_custom_id,
    chat_row,
    ended,
    jsonl,
    responses_row,
    submit,
    wait_for,
)

if TYPE_CHECKING:
    from tests.e2e.conftest import Running


def test_a_batch_of_chat_completions_is_answered_row_by_row(client: openai.OpenAI) -> None:
    rows = [chat_row(f"row-{n}", f"Reply with: answer {n}") for n in range(30)]
    batch = submit(client, jsonl(rows), metadata={"purpose": "test"})
    assert batch.status == "validating"
    batch = ended(client, batch)
    assert batch.status == "completed"
    assert batch.metadata == {"purpose": "test"}
    assert batch.request_counts
    assert batch.request_counts.to_dict() == {"total": 30, "completed": 30, "failed": 0}
    assert batch.error_file_id is None
    assert batch.usage
    assert batch.usage.total_tokens > 0
    answers = by_custom_id(client, batch.output_file_id)
    texts = {
        name: line["response"]["body"]["choices"][0]["message"]["content"]
        for name, line in answers.items()
    }
    assert texts == {f"row-{n}": f"answer {n}" for n in range(30)}
    assert {line["response"]["status_code"] for line in answers.values()} == {200}


def test_a_batch_of_responses_is_answered_too(client: openai.OpenAI) -> None:
    batch = submit(client, jsonl([responses_row("a", "Reply with: it works")]), RESPONSES)
    batch = ended(client, batch)
    (line,) = by_custom_id(client, batch.output_file_id).values()
    assert line["response"]["body"]["output"][0]["content"][0]["text"] == "it works"


def test_rows_that_the_provider_refuses_are_in_the_error_file(client: openai.OpenAI) -> None:
    rows = [chat_row("good", "hello"), chat_row("bad", "hello", "abliterated-model@status=400")]
    batch = ended(client, submit(client, jsonl(rows)))
    assert batch.status == "completed"
    assert batch.request_counts
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
    assert by_custom_id(client, batch.output_file_id).keys() == {"good"}
    (line,) = by_custom_id(client, batch.error_file_id).values()
    assert line["custom_id"] == "bad"
    assert line["response"]["status_code"] == 400
    assert line["response"]["body"]["error"]["message"]


def test_a_file_with_bad_lines_fails_with_their_numbers_and_sends_no_request(
    client: openai.OpenAI, running: Running
) -> None:
    before = len(running.provider.calls)
    content = jsonl([chat_row("a", "x")]) + b"{not json\n" + jsonl([chat_row("a", "again")])
    batch = ended(client, submit(client, content))
    assert batch.status == "failed"
    assert batch.errors
    assert [error.line for error in batch.errors.data or []] == [2, 3]
    assert batch.output_file_id is None
    asked = [c for c in running.provider.calls[before:] if c.path == "/v1/chat/completions"]
    assert asked == []


def test_a_cancelled_batch_keeps_what_was_answered(client: openai.OpenAI) -> None:
    rows = [chat_row(f"fast-{n}", "hi") for n in range(20)]
    rows += [chat_row(f"slow-{n}", "hi", "abliterated-model@latency=2") for n in range(400)]
    batch = submit(client, jsonl(rows))
    wait_for(lambda: (counted(client, batch.id) or 0) > 0)
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    batch = ended(client, batch)
    assert batch.status == "cancelled"
    kept = by_custom_id(client, batch.output_file_id)
    dropped = by_custom_id(client, batch.error_file_id)
    assert kept.keys().isdisjoint(dropped)
    assert len(kept) + len(dropped) == 420
    assert kept
    assert {line["error"]["code"] for line in dropped.values()} == {"batch_cancelled"}


def counted(client: openai.OpenAI, batch_id: str) -> int | None:
    counts = client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts else None


def test_lists_go_page_by_page_newest_first(client: openai.OpenAI) -> None:
    made = [submit(client, jsonl([chat_row("a", "x")])).id for _ in range(3)]
    first = client.batches.list(limit=2)
    assert [batch.id for batch in first.data] == [made[2], made[1]]
    assert first.has_more
    assert [batch.id for batch in first.get_next_page().data][0] == made[0]
    files = client.files.list(limit=1, purpose="batch", order="desc")
    assert files.data[0].filename == "rows.jsonl"
    for name in made:
        ended(client, client.batches.retrieve(name))


def test_a_file_is_shown_read_and_deleted(client: openai.OpenAI) -> None:
    content = jsonl([chat_row("a", "x")])
    file = client.files.create(file=("rows.jsonl", content), purpose="batch")
    assert (file.bytes, file.status) == (len(content), "processed")
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_file_too_large_for_the_api_is_refused_with_the_alternative(
    client: openai.OpenAI,
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("rows.jsonl", b"x" * 5_000_000), purpose="batch")
    assert refused.value.status_code == 413
    assert "relay batch submit" in refused.value.message


def test_a_file_dropped_into_the_inbox_is_answered_in_the_outbox(running: Running) -> None:
    s3, bucket = running.stack.aws("s3"), running.stack.template.ref("BatchBucket")
    rows = [chat_row(f"row-{n}", "Reply with: dropped") for n in range(5)]
    s3.put_object(Bucket=bucket, Key="inbox/team/x.jsonl", Body=jsonl(rows))

    def results() -> list[str]:
        found = s3.list_objects_v2(Bucket=bucket, Prefix="outbox/team/x/").get("Contents", [])
        return [each["Key"] for each in found if each["Key"].endswith("/output.jsonl")]

    wait_for(lambda: bool(results()))
    (key,) = results()
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    assert {json.loads(line)["custom_id"] for line in lines} == {f"row-{n}" for n in range(5)}


def test_a_job_that_is_sent_twice_is_answered_once(running: Running) -> None:
    s3, bucket = running.stack.aws("s3"), running.stack.template.ref("BatchBucket")
    sqs, queue = running.stack.aws("sqs"), running.stack.template.ref("JobsQueue")
    model = "abliterated-model@id=job-twice"
    job = {"id": "job-twice", "url": CHAT, "body": chat_row("", "Reply with: once", model)["body"]}
    for _ in range(2):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(job))

    def result() -> Any:
        try:
            return s3.get_object(Bucket=bucket, Key="jobs/job-twice.json")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None

    wait_for(lambda: result() is not None)
    answer = json.loads(result())["response"]
    assert answer["body"]["choices"][0]["message"]["content"] == "once"
    wait_for(lambda: waiting(sqs, queue) == 0)  # both were delivered, if not both deleted yet
    assert [c.switches.get("id") for c in running.provider.calls].count("job-twice") == 1


def waiting(sqs: Any, queue: str) -> int:
    name = "ApproximateNumberOfMessages"
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
    return int(found[name])


def test_a_background_response_is_queued_at_once_and_followed(client: openai.OpenAI) -> None:
    queued = client.responses.create(
        model="abliterated-model@latency=1", input="Reply with: later", background=True
    )
    assert queued.status == "queued"
    wait_for(lambda: client.responses.retrieve(queued.id).status == "completed")
    answer = client.responses.retrieve(queued.id)
    assert (answer.id, answer.output_text, answer.background) == (queued.id, "later", True)
    client.responses.delete(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)


def test_a_background_response_can_be_cancelled(client: openai.OpenAI) -> None:
    queued = client.responses.create(
        model="abliterated-model@latency=3", input="Reply with: never", background=True
    )
    assert client.responses.cancel(queued.id).status == "cancelled"
    assert client.responses.retrieve(queued.id).status == "cancelled"

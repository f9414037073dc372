"""Batches over HTTP, as the official client makes and lists them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import openai
import pytest

from llm_relay.batch.model.record import (
    CANCELLABLE,
    FAILED,
    VALIDATING,
)
from tests.support.batch_calls import (
    CHAT,
    DAY,
    ROWS,
    created,
    started,
    uploaded,
)

if TYPE_CHECKING:
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws

pytestmark = pytest.mark.usefixtures("state_machine")


def test_a_batch_is_stored_and_started(api: BatchApi, state_machine: str) -> None:
    client = api.client()
    file_id = uploaded(client)
    batch = created(client, file_id, metadata={"project": "p"})
    assert (batch.object, batch.status, batch.endpoint) == ("batch", VALIDATING, CHAT)
    assert (batch.input_file_id, batch.completion_window) == (file_id, "24h")
    assert (batch.metadata, batch.expires_at) == ({"project": "p"}, batch.created_at + DAY)
    assert (batch.errors, batch.output_file_id, batch.error_file_id) == (None, None, None)
    assert client.batches.retrieve(batch.id) == batch
    assert started(state_machine) == {batch.id: {"owner": "key-1", "batch": batch.id}}


def test_a_batch_stores_the_limits_of_its_client(api: BatchApi, batch_aws: BatchAws) -> None:
    batch = created(api.client(), output_expires_after={"anchor": "created_at", "seconds": 7200})
    kept = batch_aws.store.batch("key-1", batch.id)
    assert kept
    assert (kept.client.key_id, kept.client.budget_nanos) == ("key-1", None)
    assert (kept.results, kept.results_seconds) == (f"batches/{batch.id}/", 7200)
    assert batch_aws.bucket.get(kept.input_key) == ROWS


def test_a_batch_needs_an_input_file_of_the_same_client(api: BatchApi, state_machine: str) -> None:
    theirs = uploaded(api.client("key-2"))
    for file_id in (theirs, "file-none", "../x"):
        with pytest.raises(openai.NotFoundError) as refused:
            created(api.client(), file_id)
        assert (refused.value.code, refused.value.param) == ("file_not_found", "input_file_id")
    assert not started(state_machine)


def test_a_result_file_is_not_a_valid_input(api: BatchApi, batch_aws: BatchAws) -> None:
    client = api.client()
    file = batch_aws.store.file("key-1", uploaded(client))
    assert file
    results = dataclasses.replace(file, id="file-results", purpose="batch_output")
    batch_aws.store.add(results)
    with pytest.raises(openai.BadRequestError) as refused:
        created(client, results.id)
    assert refused.value.param == "input_file_id"


def test_an_invalid_request_starts_nothing(api: BatchApi, state_machine: str) -> None:
    client = api.client()
    with pytest.raises(openai.BadRequestError) as refused:
        created(client, endpoint="/v1/embeddings")
    assert refused.value.param == "endpoint"
    answer = api.ask("POST", "/batches", "application/json", b"{")
    assert answer.status_code == 400
    assert not started(state_machine)


def test_a_request_is_logged_without_its_contents(
    api: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    created(api.client(), metadata={"canary": "canary"})
    logged = capsys.readouterr()
    assert '"route":"POST /v1/batches"' in logged.out
    assert "canary" not in logged.out + logged.err


def test_batches_are_listed_page_by_page(api: BatchApi, batch_aws: BatchAws) -> None:
    ids = sorted((batch_aws.add_batch(b"").id for _ in range(5)), reverse=True)
    theirs = batch_aws.add_batch(b"", owner="key-2")
    batches = api.client().batches
    page = batches.list(limit=2)
    assert ([batch.id for batch in page.data], page.has_more) == (ids[:2], True)
    assert [batch.id for batch in page] == ids
    assert [batch.id for batch in batches.list()] == ids
    assert [batch.id for batch in api.client("key-2").batches.list()] == [theirs.id]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "after=%20", "after=batch_none"]
)
def test_a_list_says_what_is_wrong_with_its_query(api: BatchApi, query: str) -> None:
    answer = api.ask("GET", f"/batches?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]


def test_no_page_continues_after_another_client_s_batch(api: BatchApi, batch_aws: BatchAws) -> None:
    theirs = batch_aws.add_batch(b"", owner="key-2")
    batch_aws.add_batch(b"")
    with pytest.raises(openai.BadRequestError) as refused:
        api.client().batches.list(after=theirs.id)
    assert refused.value.param == "after"


def test_a_batch_is_visible_only_to_its_client(api: BatchApi, batch_aws: BatchAws) -> None:
    batch = batch_aws.add_batch(b"")
    other = api.client("key-2").batches
    for ask in (other.retrieve, other.cancel):
        for batch_id in (batch.id, "batch_none", "x" * 2000):
            with pytest.raises(openai.NotFoundError) as refused:
                ask(batch_id)
            assert refused.value.code == "batch_not_found"
    kept = batch_aws.store.batch(batch.owner, batch.id)
    assert kept == batch


def test_the_outcome_of_a_batch_is_shown(api: BatchApi, batch_aws: BatchAws) -> None:
    error = {"code": "invalid_json", "line": 2, "message": "No JSON.", "param": None}
    batch = batch_aws.add_batch(b"", errors=(error,), error_count=7, times={"failed_at": 5})
    batch_aws.store.update_batch(batch.owner, batch.id, CANCELLABLE, status=FAILED)
    batch_aws.store.add_counts(batch.owner, batch.id, 3, 4)
    shown = api.client().batches.retrieve(batch.id)
    assert (shown.status, shown.failed_at, shown.completed_at) == (FAILED, 5, None)
    assert shown.request_counts
    assert (shown.request_counts.completed, shown.request_counts.failed) == (3, 4)
    assert shown.errors
    assert shown.errors.data
    assert shown.errors.data[0].to_dict() == error

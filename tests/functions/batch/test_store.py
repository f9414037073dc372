"""Records of batches in DynamoDB."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import TYPE_CHECKING

import boto3

from llm_relay.batch.model.record import (
    CANCELLABLE,
    CANCELLING,
    COMPLETED,
    FINALIZING,
    IN_PROGRESS,
    VALIDATING,
    StoredFile,
)
from llm_relay.batch.model.store import Store
from llm_relay.core.client import Client
from tests.support.dynamodb_proxy import RESET_AFTER_EXECUTION, DynamoDbProxy

if TYPE_CHECKING:
    from tests.support.batch_environment import BatchAws

CLIENT = Client(
    id="0123456789ab",
    key_id="key-1",
    budget_nanos=12_345_678_901_234_567,
    budget_per="month",
    models=frozenset({"a", "b"}),
    max_output_tokens=7,
)
ERROR = {"code": "invalid_json", "line": 3, "message": "The line is no JSON.", "param": None}


def test_a_record_is_read_as_it_was_stored(batch_aws: BatchAws) -> None:
    batch = batch_aws.add_batch(
        b"",
        client=CLIENT,
        metadata={"a": "", "b": "2"},
        results_seconds=3600,
        errors=(ERROR,),
        error_count=101,
        usage={"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}},
        cost_nanos=10**15 + 1,
        times={"in_progress_at": 1},
    )
    assert batch_aws.store.batch(batch.owner, batch.id) == batch


def test_an_id_is_used_once(batch_aws: BatchAws) -> None:
    batch = batch_aws.add_batch(b"")
    assert not batch_aws.store.add(dataclasses.replace(batch, total=5))
    assert batch_aws.store.batch(batch.owner, batch.id) == batch


def test_a_record_whose_reply_was_lost_is_stored(batch_aws: BatchAws) -> None:
    every_other = itertools.cycle([RESET_AFTER_EXECUTION, None])
    with DynamoDbProxy(batch_aws.endpoint_url, fault=lambda _: next(every_other)) as dynamodb_proxy:
        client = boto3.client("dynamodb", endpoint_url=dynamodb_proxy.url)
        store = Store(batch_aws.table, lambda: client)
        kept = dataclasses.replace(batch_aws.add_batch(b""), id="batch_another")
        assert store.add(kept)
        client.close()
    assert dynamodb_proxy.operations == ["UpdateItem"] * 2
    assert batch_aws.store.batch(kept.owner, kept.id) == kept


def test_a_batch_changes_only_from_the_given_states(batch_aws: BatchAws) -> None:
    store, batch = batch_aws.store, batch_aws.add_batch(b"")
    done, changed = store.update_batch(
        batch.owner, batch.id, CANCELLABLE, status=IN_PROGRESS, total=3
    )
    assert done
    assert changed == dataclasses.replace(batch, status=IN_PROGRESS, total=3)
    done, found = store.update_batch(batch.owner, batch.id, {VALIDATING}, status=COMPLETED)
    assert (done, found) == (False, changed)
    assert store.update_batch(batch.owner, "batch_none", CANCELLABLE, total=1) == (False, None)


def test_a_batch_changes_without_another_state(batch_aws: BatchAws) -> None:
    batch = batch_aws.add_batch(b"")
    done, changed = batch_aws.store.update_batch(batch.owner, batch.id, CANCELLABLE, total=4)
    assert (done, changed) == (True, dataclasses.replace(batch, total=4))


def test_timestamps_are_added_to_the_existing_ones(batch_aws: BatchAws) -> None:
    store, batch = batch_aws.store, batch_aws.add_batch(b"")
    store.update_batch(batch.owner, batch.id, CANCELLABLE, times={"in_progress_at": 1})
    both = {"cancelling_at": 2, "finalizing_at": 3}
    _, changed = store.update_batch(
        batch.owner, batch.id, CANCELLABLE, status=FINALIZING, times=both
    )
    assert changed
    assert changed.times == {"in_progress_at": 1, **both}
    assert store.batch(batch.owner, batch.id) == changed


def test_counting_adds_up_and_returns_the_state(batch_aws: BatchAws) -> None:
    store, batch = batch_aws.store, batch_aws.add_batch(b"")
    store.add_counts(batch.owner, batch.id, 5, 0)
    store.update_batch(batch.owner, batch.id, CANCELLABLE, status=CANCELLING)
    counted = store.add_counts(batch.owner, batch.id, 2, 1)
    assert counted
    assert (counted.completed, counted.failed, counted.status) == (7, 1, CANCELLING)
    assert store.add_counts(batch.owner, "batch_none", 1, 1) is None


def test_a_batch_is_claimed_by_one_execution(batch_aws: BatchAws) -> None:
    store, batch = batch_aws.store, batch_aws.add_batch(b"")
    assert store.claim(batch.owner, "batch_none", "arn:first") is None
    claimed = store.claim(batch.owner, batch.id, "arn:first")
    assert claimed == dataclasses.replace(batch, execution="arn:first")
    assert store.claim(batch.owner, batch.id, "arn:second") is None
    assert store.claim(batch.owner, batch.id, "arn:first") == claimed


def test_a_page_is_full_for_batches_of_any_size(batch_aws: BatchAws) -> None:
    large = {"note": "x" * 350_000}  # three of them are as much as one query gives
    ids = [batch_aws.add_batch(b"", metadata=large).id for _ in range(5)]
    store, newest_first = batch_aws.store, sorted(ids, reverse=True)
    assert [batch.id for batch in store.batches("key-1", None, 4)] == newest_first[:4]
    rest = store.batches("key-1", newest_first[0], 6)
    assert [batch.id for batch in rest] == newest_first[1:]
    assert not store.batches("key-2", None, 6)


def test_a_key_returns_its_first_record(batch_aws: BatchAws) -> None:
    store, ttl = batch_aws.store, int(time.time()) + 600
    first = {"batch": "batch_1", "ttl": ttl}
    assert first.items() <= store.put_key("key-1", "k", first).items()
    assert store.put_key("key-1", "k", {"batch": "batch_2", "ttl": ttl})["batch"] == "batch_1"
    assert store.put_key("key-2", "k", {"batch": "batch_3", "ttl": ttl})["batch"] == "batch_3"
    store.delete_key("key-1", "k")
    assert store.put_key("key-1", "k", {"batch": "batch_4", "ttl": ttl})["batch"] == "batch_4"


def test_expired_key_can_be_reused(batch_aws: BatchAws) -> None:
    store, now = batch_aws.store, int(time.time())
    store.put_key("key-1", "k", {"batch": "batch_1", "ttl": now - 10})
    assert store.put_key("key-1", "k", {"batch": "batch_2", "ttl": now + 600})["batch"] == "batch_2"


def test_a_file_has_an_expiry_for_dynamodb(batch_aws: BatchAws) -> None:
    file = StoredFile(
        id="file-1",
        owner="key-1",
        filename="f",
        bytes=1,
        key="files/key-1/file-1",
        created_at=5,
        expires_at=3_000_000_000,
    )
    assert batch_aws.store.add(file)
    (item,) = batch_aws.items()
    assert 0 < int(item["ttl"]["N"]) - 3_000_000_000 <= 86_400
    assert batch_aws.store.file("key-1", "file-1") == file


def test_records_have_an_expiry_for_dynamodb(batch_aws: BatchAws) -> None:
    batch_aws.add_batch(b"")
    (item,) = batch_aws.items()
    assert int(item["ttl"]["N"]) > time.time() + 300 * 86_400

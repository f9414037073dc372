"""What batches need of AWS, created for one test: a bucket, a table, a state machine."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.aws.s3 import Bucket, s3
from llm_relay.batch.model import names
from llm_relay.batch.model.record import Batch
from llm_relay.batch.model.store import Store
from llm_relay.batch.model.store import store as store_of_environment
from llm_relay.core.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
OWNER = "key-1"
_DAY_SECONDS = 86_400
_KEYS = (("pk", "HASH"), ("sk", "RANGE"))
_WAITS: dict[str, Any] = {
    "StartAt": "Wait",
    "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAws:
    """The bucket and the table of one test, through the product's own clients."""

    bucket: Bucket
    store: Store
    table: str
    endpoint_url: str
    environment: pytest.MonkeyPatch

    def add_batch(self, rows: bytes, **more: Any) -> Batch:
        """Put a file into the bucket and keep the record of a new batch on it."""
        now = int(time.time())
        batch_id, file_id = names.new_id("batch_"), names.new_id("file-")
        owner = more.get("owner", OWNER)
        facts: dict[str, Any] = {
            "id": batch_id,
            "owner": owner,
            "client": Client(id="", key_id=owner),
            "endpoint": CHAT,
            "input_file_id": file_id,
            "input_key": names.upload_key(owner, file_id),
            "results": names.batch_prefix(batch_id),
            "created_at": now,
            "expires_at": now + _DAY_SECONDS,
        }
        batch = Batch(**(facts | more))
        self.bucket.put(batch.input_key, rows)
        assert self.store.add(batch)
        return batch

    def items(self) -> list[dict[str, Any]]:
        """All items of the table, as DynamoDB writes them."""
        found: list[dict[str, Any]] = dynamodb().scan(TableName=self.table)["Items"]
        return found

    def add_state_machine(self, definition: Any = None) -> str:
        """Make a state machine, which waits for an hour by default; returns its ARN."""
        with_name = f"batch-{time.monotonic_ns()}"
        client: Any = boto3.client("stepfunctions", endpoint_url=self.endpoint_url)
        made = client.create_state_machine(
            name=with_name,
            definition=json.dumps(definition or _WAITS),
            roleArn="arn:aws:iam::123456789012:role/batch",
        )
        client.close()
        arn: str = made["stateMachineArn"]
        self.environment.setenv("STATE_MACHINE_ARN", arn)
        return arn


@pytest.fixture
def batch_aws(environment: pytest.MonkeyPatch, aws: str) -> Iterator[BatchAws]:
    """A bucket and a table of their own, named by BATCH_BUCKET and BATCHES_TABLE."""
    name = f"batch-{time.monotonic_ns()}"
    environment.setenv("BATCH_BUCKET", name)
    environment.setenv("BATCHES_TABLE", name)
    for made_before in (s3, dynamodb, store_of_environment):
        made_before.cache_clear()
    s3().create_bucket(Bucket=name)
    _make_table(name)
    yield BatchAws(
        bucket=Bucket(name),
        store=Store(name),
        table=name,
        endpoint_url=aws,
        environment=environment,
    )
    for client in (s3, dynamodb):
        client().close()
    for made in (s3, dynamodb, store_of_environment):
        made.cache_clear()


def _make_table(name: str) -> None:
    dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in _KEYS],
        KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in _KEYS],
    )
    ttl = {"Enabled": True, "AttributeName": "ttl"}
    dynamodb().update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)

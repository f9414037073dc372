"""The operator's access to a stack's batches: records, files, state machine."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import click

from cli.aws.target_stack import Stack
from cli.services.clients import ClientProfile, ClientProfiles
from llm_relay.batch.api.submit import is_stranded, start
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import Batch
from llm_relay.batch.model.store import Store
from llm_relay.core.client import Client, parse_limits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

PARTITION = "batches#"  # followed by the owner


class BatchClient:
    """The batches of all owners of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @cached_property
    def bucket(self) -> str:
        """The bucket of the files."""
        return self.stack.resource("BatchBucket")

    @cached_property
    def store(self) -> Store:
        """The store of records."""
        return Store(self.stack.resource("BatchesTable"), lambda: self._dynamodb)

    @cached_property
    def s3(self) -> "S3Client":
        """A client of S3."""
        return self.stack.s3()

    @cached_property
    def step_functions(self) -> "SFNClient":
        """A client of Step Functions."""
        return self.stack.step_functions()

    @cached_property
    def state_machine(self) -> str:
        """The ARN of the batch state machine."""
        return self.stack.resource("BatchStateMachine")

    @property
    def retention_days(self) -> int:
        """Days for which the bucket keeps content."""
        return int(self.stack.parameter("ContentRetentionDays") or 30)

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        return self.stack.dynamodb()

    def find(self, batch_id: str) -> Batch:
        """Return a batch of any owner; ClickException if it does not exist.

        Batches of other owners are found by a scan of the table.
        """
        found = self.store.batch(OPERATOR, batch_id)
        if found is None:
            owners = (owner for owner, known_id in self._keys() if known_id == batch_id)
            owner = next(owners, None)
            found = self.store.batch(owner, batch_id) if owner else None
        if found is None:
            raise click.ClickException(
                f"There is no batch {batch_id}. See 'relay batch list --all'."
            )
        return self._looked_at(found)

    def again(self, batch: Batch) -> Batch:
        """Return the current state of a batch; ClickException if its record was deleted."""
        found = self.store.batch(batch.owner, batch.id)
        if found is None:
            raise click.ClickException(f"The record of {batch.id} was deleted.")
        return found

    def newest_of(self, owner: str, limit: int) -> list[Batch]:
        """Return an owner's newest batches, newest first."""
        return [self._looked_at(batch) for batch in self.store.batches(owner, None, limit)]

    def newest(self, limit: int) -> list[Batch]:
        """Return the newest batches of all owners, newest first, by a scan of the table."""
        keys = sorted(self._keys(), key=lambda key: key[1], reverse=True)[:limit]
        found = (self.store.batch(owner, batch_id) for owner, batch_id in keys)
        return [batch for batch in found if batch]

    def find_client(self, who: str) -> ClientProfile:
        """Return a client by id or name; ClickException if there is none."""
        return ClientProfiles(self.stack.clients_table()).find(who)

    def _looked_at(self, batch: Batch) -> Batch:
        """Return a batch, and start it if its start failed."""
        if is_stranded(batch):
            from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

            with suppress(*AWS_ERRORS):  # retried at the next look
                start(self.step_functions, self.state_machine, batch)
        return batch

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Yield the owner and id of every batch."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.resource("BatchesTable"),
            FilterExpression="begins_with(pk, :batches)",
            ExpressionAttributeValues={":batches": {"S": PARTITION}},
            ProjectionExpression="pk, sk",
        )
        for page in pages:
            for item in page["Items"]:
                yield item["pk"]["S"].removeprefix(PARTITION), item["sk"]["S"]


def caller_of(profile: ClientProfile) -> Client:
    """Return the client of a profile as a caller without a key."""
    return Client(id=profile.id, key_id="", **parse_limits(profile.limits.values()))

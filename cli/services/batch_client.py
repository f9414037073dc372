"""Where the operator finds the batches of a stack: their records, their files, what runs them."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import click

from cli.aws.target_stack import Stack
from cli.services.clients import Client, Clients
from llm_relay.batch.api.submit import is_stranded, start
from llm_relay.batch.model.names import OPERATOR
from llm_relay.batch.model.record import Batch
from llm_relay.batch.model.store import Store
from llm_relay.core.client import Client as Caller

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

PARTITION = "batches#"  # and the owner


class BatchClient:
    """The batches of all owners of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @cached_property
    def bucket(self) -> str:
        """The bucket that the files are in."""
        return self.stack.resource("BatchBucket")

    @cached_property
    def store(self) -> Store:
        """The records."""
        return Store(self.stack.resource("BatchesTable"), lambda: self._dynamodb)

    @cached_property
    def s3(self) -> "S3Client":
        """The S3 that the bucket is in."""
        return self.stack.s3()

    @cached_property
    def step_functions(self) -> "SFNClient":
        """What runs the state machine."""
        return self.stack.step_functions()

    @cached_property
    def state_machine(self) -> str:
        """The ARN of the state machine that runs batches."""
        return self.stack.resource("BatchStateMachine")

    @property
    def retention_days(self) -> int:
        """How long the bucket keeps contents."""
        return int(self.stack.parameter("ContentRetentionDays") or 30)

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        return self.stack.dynamodb()

    def find(self, batch_id: str) -> Batch:
        """The batch of an id, whoever's it is; a ClickException if there is none.

        One that the operator did not submit is looked for in the whole table, which takes longer
        and reads more the more batches there are.
        """
        found = self.store.batch(OPERATOR, batch_id)
        if found is None:
            owners = (owner for owner, known in self._keys() if known == batch_id)
            owner = next(owners, None)
            found = self.store.batch(owner, batch_id) if owner else None
        if found is None:
            raise click.ClickException(
                f"There is no batch {batch_id}. See 'relay batch list --all'."
            )
        return self._looked_at(found)

    def again(self, batch: Batch) -> Batch:
        """A batch as it is now; a ClickException if its record is gone."""
        found = self.store.batch(batch.owner, batch.id)
        if found is None:
            raise click.ClickException(f"The record of {batch.id} is gone.")
        return found

    def newest_of(self, owner: str, limit: int) -> list[Batch]:
        """So many batches of one owner, the newest first."""
        return [self._looked_at(batch) for batch in self.store.batches(owner, None, limit)]

    def newest(self, limit: int) -> list[Batch]:
        """So many batches of all owners, the newest first; reads the whole table for it."""
        keys = sorted(self._keys(), key=lambda key: key[1], reverse=True)[:limit]
        found = (self.store.batch(owner, batch_id) for owner, batch_id in keys)
        return [batch for batch in found if batch]

    def known(self, who: str) -> Client:
        """The client of an id or a name; a ClickException if there is none."""
        return Clients(self.stack.clients_table()).find(who)

    def _looked_at(self, batch: Batch) -> Batch:
        """A batch; if whoever submitted it could not start it, that is done now."""
        if is_stranded(batch):
            from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

            with suppress(*AWS_ERRORS):  # it can be shown, and started at the next look
                start(self.step_functions, self.state_machine, batch)
        return batch

    def _keys(self) -> Iterator[tuple[str, str]]:
        """The owner and the id of every batch."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.resource("BatchesTable"),
            FilterExpression="begins_with(pk, :batches)",
            ExpressionAttributeValues={":batches": {"S": PARTITION}},
            ProjectionExpression="pk, sk",
        )
        for page in pages:
            for item in page["Items"]:
                yield item["pk"]["S"].removeprefix(PARTITION), item["sk"]["S"]


def caller_of(client: Client) -> Caller:
    """What a client's batch may do and spend, as its own key would be told."""
    terms = client.terms
    return Caller(
        id=client.id,
        key_id="",
        budget_nanos=terms.budget_nanos,
        budget_per=terms.budget_per or "day",
        models=frozenset(terms.models) or None,
        max_output_tokens=terms.max_output_tokens,
    )

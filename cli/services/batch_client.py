"""The operator's access to a stack's batches: records, files, state machine."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

import click

from cli.aws.target_stack import Stack
from llm_relay.batch.api import submit
from llm_relay.batch.model.names import ERRORS, OPERATOR, OUTPUT, results_key
from llm_relay.batch.model.record import Batch, StoredFile, retention_seconds
from llm_relay.batch.model.store import Store

PARTITION = "batches#"  # followed by the owner
DEFAULT_RETENTION_DAYS = 30


def result_keys(batch: Batch) -> dict[str, str]:
    """Return the S3 keys of a batch's existing result files by kind."""
    files = {OUTPUT: batch.output_file_id, ERRORS: batch.error_file_id}
    return {kind: results_key(batch, kind) for kind, file_id in files.items() if file_id}


class BatchClient:
    """The batches of all owners of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.bucket = stack, stack.resource("BatchBucket")
        self._table = stack.resource("BatchesTable")
        self._state_machine = stack.resource("BatchStateMachine")
        self._store = Store(self._table, lambda: stack.client("dynamodb"))

    def find(self, batch_id: str) -> Batch:
        """Return a batch; ClickException if absent. A scan finds those of other owners."""
        owners = (owner for owner, known_id in self._keys() if known_id == batch_id)
        for owner in chain([OPERATOR], owners):
            if batch := self._store.batch(owner, batch_id):
                return self._started(batch)
        raise click.ClickException(f"There is no batch {batch_id}. See 'relay batch list --all'.")

    def reload(self, batch: Batch) -> Batch:
        """Return the current state of a batch; ClickException if its record was deleted."""
        current = self._store.batch(batch.owner, batch.id)
        if current is None:
            raise click.ClickException(f"The record of {batch.id} was deleted.")
        return current

    def newest_of(self, owner: str, limit: int) -> list[Batch]:
        """Return an owner's newest batches, newest first."""
        return [self._started(batch) for batch in self._store.batches(owner, None, limit)]

    def newest(self, limit: int) -> list[Batch]:
        """Return the newest batches of all owners, newest first, by a scan of the table."""
        keys = sorted(self._keys(), key=lambda key: key[1], reverse=True)[:limit]
        batches = (self._store.batch(owner, batch_id) for owner, batch_id in keys)
        return [batch for batch in batches if batch]

    def submit(self, batch: Batch, filename: str, size: int) -> Batch:
        """Store the records of an uploaded file of `size` bytes and of its batch, and start it."""
        days = int(self.stack.parameter("ContentRetentionDays") or DEFAULT_RETENTION_DAYS)
        self._store.add(
            StoredFile(
                id=batch.input_file_id,
                owner=batch.owner,
                filename=filename,
                bytes=size,
                key=batch.input_key,
                created_at=batch.created_at,
                expires_at=batch.created_at + retention_seconds(days=days),
            )
        )
        engine = self.stack.client("stepfunctions")
        return submit.submit(self._store, engine, self._state_machine, batch)

    def cancel(self, batch: Batch) -> Batch:
        """Cancel a batch; return its current state."""
        engine = self.stack.client("stepfunctions")
        return submit.cancel(self._store, engine, self._state_machine, batch.owner, batch.id)

    def _started(self, batch: Batch) -> Batch:
        """Return a batch, and start it if its start failed."""
        if submit.is_stranded(batch):
            from cli.aws.errors import AWS_ERRORS  # noqa: PLC0415 - imports botocore

            with suppress(*AWS_ERRORS):  # retried when it is read again
                submit.start(self.stack.client("stepfunctions"), self._state_machine, batch)
        return batch

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Yield the owner and id of every batch."""
        scan = self.stack.client("dynamodb").get_paginator("scan")
        pages = scan.paginate(
            TableName=self._table,
            FilterExpression="begins_with(pk, :batches)",
            ExpressionAttributeValues={":batches": {"S": PARTITION}},
            ProjectionExpression="pk, sk",
        )
        for partition, batch_id in pages.search("Items[].[pk.S, sk.S]"):
            yield partition.removeprefix(PARTITION), batch_id

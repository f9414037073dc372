"""Starts and cancels batches, for the API and the command line."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.aws.boto3_client import boto3_client
from llm_relay.batch.model import record
from llm_relay.batch.model.record import Batch, error_entry
from llm_relay.core.errors import BatchesUnavailable, BatchNotCancellable, BatchNotFound

if TYPE_CHECKING:
    from llm_relay.batch.model.store import Store

# Within this time an execution has claimed its batch, or waits for a free function.
_STARTED_WITHIN_SECONDS = 300


@lru_cache(maxsize=1)
def step_functions() -> Any:
    """Return the client of this environment, created on first use."""
    retries = {"mode": "standard", "total_max_attempts": 3}
    return boto3_client("stepfunctions", connect_timeout=2, read_timeout=4, retries=retries)


def submit(
    store: Store, client: Any, state_machine_arn: str, batch: Batch, *, is_repeatable: bool = False
) -> Batch:
    """Store a batch and start it; return it as it is now. Repeating this is harmless.

    BatchesUnavailable if it cannot be started. If `is_repeatable`, the same request can start it
    later, so it stays as it is; otherwise it is stored as failed and never runs.
    """
    stored = batch if store.add(batch) else store.batch(batch.owner, batch.id) or batch
    if stored.status == record.VALIDATING:
        try:
            start(client, state_machine_arn, batch)
        except Exception as error:
            if is_repeatable:
                raise _startable_later(batch) from error
            raise _failed(store, batch) from error
    return stored


def is_stranded(batch: Batch) -> bool:
    """Tell whether a batch was stored and not started: the process that did so may have died."""
    is_old = time.time() >= batch.created_at + _STARTED_WITHIN_SECONDS
    return batch.status == record.VALIDATING and batch.execution is None and is_old


def start(client: Any, state_machine_arn: str, batch: Batch, *, close: bool = False) -> None:
    """Start the execution of a batch, or the one that closes it; harmless if it was started before.

    An execution that closes a batch runs no rows, and finalizes it.
    """
    reference = {"owner": batch.owner, "batch": batch.id}
    with suppress(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(
            stateMachineArn=state_machine_arn,
            name=f"{batch.id}-close" if close else batch.id,
            input=json.dumps(reference | ({"close": True} if close else {})),
        )


def cancel(store: Store, client: Any, state_machine_arn: str, owner: str, batch_id: str) -> Batch:
    """End a batch with the results it has; return it as it is now. Repeating this is harmless.

    BatchNotFound, or BatchNotCancellable if it has ended or is being finalized.
    """
    times = {"cancelling_at": int(time.time())}
    _, batch = store.update_batch(
        owner, batch_id, record.CANCELLABLE, times, status=record.CANCELLING
    )
    if batch is None:
        raise batch_not_found(batch_id)
    if batch.status == record.CANCELLING:
        # Also on a repeat: the first call may have failed after it changed the record.
        executions = state_machine_arn.replace(":stateMachine:", ":execution:")
        execution = batch.execution or f"{executions}:{batch_id}"
        # It may not have been started, or was deleted 90 days after its end.
        with suppress(client.exceptions.ExecutionDoesNotExist):
            client.stop_execution(executionArn=execution, cause="The batch was cancelled.")
        start(client, state_machine_arn, batch, close=True)
    elif batch.status != record.CANCELLED:
        raise BatchNotCancellable(
            f"A batch with the status '{batch.status}' cannot be cancelled. Its files have its "
            "results and their cost."
        )
    return batch


def batch_not_found(batch_id: str) -> BatchNotFound:
    """Return the error for an id under which the caller has no batch."""
    return BatchNotFound(
        f"You have no batch {batch_id!r:.100}. GET /v1/batches lists your batches.",
        param="batch_id",
    )


def _startable_later(batch: Batch) -> BatchesUnavailable:
    return BatchesUnavailable(
        f"The batch {batch.id} is stored, but could not be started. Repeat the request with the "
        "same Idempotency-Key to start it, or cancel it: otherwise it is started when it is "
        "retrieved or listed after five minutes."
    )


def _failed(store: Store, batch: Batch) -> BatchesUnavailable:
    message = "The batch could not be started. No row was run. Submit it again."
    values = {"errors": [error_entry("not_started", message)], "error_count": 1}
    # If it was started nevertheless, its first step finds it failed and ends.
    times = {"failed_at": int(time.time())}
    store.update_batch(
        batch.owner, batch.id, {record.VALIDATING}, times, status=record.FAILED, **values
    )
    return BatchesUnavailable(
        f"The batch {batch.id} could not be started, and none of its rows was run. Submit it "
        "again; if that fails too, check whether Step Functions is reachable."
    )

"""Starts and cancels batches: the same for the API, and for the command line."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_relay.batch.api.not_started import not_started
from llm_relay.batch.model.record import (
    CANCELLABLE,
    CANCELLED,
    CANCELLING,
    VALIDATING,
    Batch,
)
from llm_relay.core.errors import BatchNotCancellable, BatchNotFound

if TYPE_CHECKING:
    from llm_relay.batch.model.store import Store

_DONE_BEFORE = "ExecutionAlreadyExists"
_UNKNOWN = "ExecutionDoesNotExist"
# By then an execution has claimed its batch, or is there and only waits for a function.
_STARTED_WITHIN_SECONDS = 300


@lru_cache(maxsize=1)
def step_functions() -> Any:
    """Return the client of this environment, made on first use."""
    import boto3  # noqa: PLC0415 - a quarter of a second that reading calls need not wait
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=2,
        read_timeout=4,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    return boto3.client("stepfunctions", config=patience)


def submit(
    store: Store,
    states_client: Any,
    state_machine_arn: str,
    batch: Batch,
    *,
    is_repeatable: bool = False,
) -> Batch:
    """Keep a batch and start it; doing it again is harmless. Return the batch as it is now.

    Raises BatchesUnavailable if it cannot be started. One that the same request can start later
    stays as it is; any other is kept as failed, and never runs.
    """
    kept = batch if store.add(batch) else store.batch(batch.owner, batch.id) or batch
    if kept.status == VALIDATING:
        try:
            _start(states_client, state_machine_arn, batch.id, _named(batch))
        except Exception as error:
            raise not_started(store, batch, is_repeatable=is_repeatable) from error
    return kept


def is_stranded(batch: Batch) -> bool:
    """Tell whether a batch waits as if nobody had started it: who submitted it may have died."""
    is_old = time.time() >= batch.created_at + _STARTED_WITHIN_SECONDS
    return batch.status == VALIDATING and batch.execution is None and is_old


def start_stranded(states_client: Any, state_machine_arn: str, batch: Batch) -> None:
    """Start a batch that is stranded; harmless for one that was started and is only slow."""
    _start(states_client, state_machine_arn, batch.id, _named(batch))


def cancel(
    store: Store, states_client: Any, state_machine_arn: str, owner: str, batch_id: str
) -> Batch:
    """Let a batch end with the results it has; doing it again is harmless.

    Raises BatchNotFound, or BatchNotCancellable for one that has ended or is about to.
    """
    now = int(time.time())
    times = {"cancelling_at": now}
    _, batch = store.change(owner, batch_id, CANCELLABLE, status=CANCELLING, times=times)
    if batch is None:
        raise batch_not_found(batch_id)
    if batch.status == CANCELLING:
        # Also on a repeat: the first call may have come no further than the record.
        _stop(states_client, batch.execution or _execution(state_machine_arn, batch_id))
        closing = {**_named(batch), "close": True}
        _start(states_client, state_machine_arn, f"{batch_id}-close", closing)
    elif batch.status != CANCELLED:
        raise BatchNotCancellable(
            f"A batch that is '{batch.status}' can no longer be cancelled. What it has, and what "
            "it cost, is in its files."
        )
    return batch


def batch_not_found(batch_id: str) -> BatchNotFound:
    """Return the error for an id that the caller has no batch of."""
    return BatchNotFound(
        f"You have no batch {batch_id!r:.100}. GET /v1/batches lists those there are.",
        param="batch_id",
    )


def _named(batch: Batch) -> dict[str, Any]:
    return {"owner": batch.owner, "batch": batch.id}


def _start(client: Any, state_machine_arn: str, name: str, document: dict[str, Any]) -> None:
    """Start an execution, unless it was started before: Step Functions keeps names apart."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    try:
        client.start_execution(
            stateMachineArn=state_machine_arn, name=name, input=json.dumps(document)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != _DONE_BEFORE:
            raise


def _stop(client: Any, execution_arn: str) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as late as boto3

    try:
        client.stop_execution(executionArn=execution_arn, cause="The batch was cancelled.")
    except ClientError as error:
        if error.response["Error"]["Code"] != _UNKNOWN:  # it was never started, or long ago
            raise


def _execution(state_machine_arn: str, name: str) -> str:
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"

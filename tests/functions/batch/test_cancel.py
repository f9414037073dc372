"""Batches that are cancelled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import openai
import pytest

from functions.batch_assemble.handler import handler as assemble
from llm_relay.batch.api.submit import step_functions
from llm_relay.batch.model.record import (
    CANCELLABLE,
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXPIRED,
    FAILED,
    FINALIZING,
    IN_PROGRESS,
    VALIDATING,
)
from tests.functions.conftest import Context
from tests.support.batch_calls import (
    created,
    started,
    state_of,
    uploaded,
)

if TYPE_CHECKING:
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws
    from tests.support.event_recorder import EventRecorder

pytestmark = pytest.mark.usefixtures("state_machine")


def test_a_running_batch_is_stopped_and_closed(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    client = api.client()
    batch = created(client)
    batch_aws.store.update_batch("key-1", batch.id, CANCELLABLE, status=IN_PROGRESS)
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status == CANCELLING
    assert cancelled.cancelling_at
    assert state_of(state_machine, batch.id) == "ABORTED"
    close = {"owner": "key-1", "batch": batch.id, "close": True}
    assert started(state_machine)[f"{batch.id}-close"] == close
    assert client.batches.cancel(batch.id) == cancelled
    assert len(started(state_machine)) == 2


def test_a_batch_of_an_execution_with_another_name_is_stopped_too(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    arn = step_functions().start_execution(stateMachineArn=state_machine, name="inbox")[
        "executionArn"
    ]
    batch = batch_aws.add_batch(b"", execution=arn)
    api.client().batches.cancel(batch.id)
    assert state_of(state_machine, "inbox") == "ABORTED"
    assert set(started(state_machine)) == {"inbox", f"{batch.id}-close"}


def test_a_batch_that_was_never_started_is_cancelled_too(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    batch = batch_aws.add_batch(b"")
    assert api.client().batches.cancel(batch.id).status == CANCELLING
    assert list(started(state_machine)) == [f"{batch.id}-close"]


def test_a_batch_that_was_never_started_frees_its_file_once_it_is_cancelled(
    api: BatchApi, batch_aws: BatchAws, state_machine: str, published_events: EventRecorder
) -> None:
    client = api.client()
    file_id = uploaded(client)
    batch = batch_aws.add_batch(b"", input_file_id=file_id)
    assert client.batches.retrieve(batch.id).status == VALIDATING
    with pytest.raises(openai.ConflictError, match=f"{batch.id}.*Cancel the batch"):
        client.files.delete(file_id)
    client.batches.cancel(batch.id)
    assemble(started(state_machine)[f"{batch.id}-close"], Context(60, time.monotonic()))
    assert client.batches.retrieve(batch.id).status == CANCELLED
    assert client.files.delete(file_id).deleted
    assert published_events.take()[0]["detail-type"] == "batch.cancelled"


def test_a_cancelled_batch_can_be_cancelled_again(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    batch = batch_aws.add_batch(b"", status=CANCELLED)
    assert api.client().batches.cancel(batch.id).status == CANCELLED
    assert not started(state_machine)


@pytest.mark.parametrize("status", [FINALIZING, COMPLETED, FAILED, EXPIRED])
def test_a_batch_that_has_ended_cannot_be_cancelled(
    api: BatchApi, batch_aws: BatchAws, status: str
) -> None:
    batch = batch_aws.add_batch(b"", status=status)
    with pytest.raises(openai.ConflictError, match=status) as refused:
        api.client().batches.cancel(batch.id)
    assert refused.value.code == "batch_not_cancellable"
    assert refused.value.response.headers["x-should-retry"] == "false"

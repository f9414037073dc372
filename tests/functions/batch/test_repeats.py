"""Batches that are asked for again, or could not be started."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from llm_relay.batch.api.submit import step_functions, submit
from llm_relay.batch.model.record import (
    FAILED,
    VALIDATING,
)
from tests.support.batch_calls import (
    CHAT,
    ROWS,
    created,
    started,
    uploaded,
    with_key,
)

if TYPE_CHECKING:
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws

pytestmark = pytest.mark.usefixtures("state_machine")


def test_a_batch_with_a_key_is_submitted_once(api: BatchApi, state_machine: str) -> None:
    client = api.client()
    file_id = uploaded(client)
    first = created(client, file_id, **with_key("k"))
    client.files.list()
    assert created(client, file_id, **with_key("k")) == first
    assert created(client, file_id, **with_key("other")).id != first.id
    assert created(client, file_id).id != first.id
    assert len(started(state_machine)) == 3


def test_a_key_is_valid_only_for_its_first_batch(api: BatchApi, state_machine: str) -> None:
    client = api.client()
    file_id = uploaded(client)
    created(client, file_id, **with_key("k"))
    with pytest.raises(openai.ConflictError) as refused:
        created(client, file_id, endpoint="/v1/responses", **with_key("k"))
    assert refused.value.code == "idempotency_key_reused"
    other = api.client("key-2")
    assert created(other, **with_key("k")).endpoint == CHAT
    assert len(started(state_machine)) == 2


def test_a_batch_with_a_key_is_found_after_its_input_is_deleted(
    api: BatchApi, batch_aws: BatchAws
) -> None:
    client = api.client()
    file_id = uploaded(client)
    first = created(client, file_id, **with_key("k"))
    batch_aws.store.delete_file("key-1", file_id)
    assert created(client, file_id, **with_key("k")) == first


def test_a_key_is_released_after_a_refusal(api: BatchApi, batch_aws: BatchAws) -> None:
    client = api.client()
    file = batch_aws.store.file("key-1", uploaded(client))
    assert file
    later = dataclasses.replace(file, id="file-later")
    with pytest.raises(openai.NotFoundError):
        created(client, later.id, **with_key("k"))
    batch_aws.store.add(later)
    assert created(client, later.id, **with_key("k")).status == VALIDATING


@pytest.mark.parametrize("look", ["retrieve", "list"])
def test_a_batch_whose_submitter_died_is_started_when_it_is_read(
    api: BatchApi, batch_aws: BatchAws, state_machine: str, look: str
) -> None:
    long_ago = int(time.time()) - 600
    stranded = batch_aws.add_batch(ROWS, created_at=long_ago)
    batch_aws.add_batch(ROWS)
    batch_aws.add_batch(ROWS, created_at=long_ago, execution="arn:of-one-that-runs-it")
    batch_aws.add_batch(ROWS, created_at=long_ago, status=FAILED)
    batches = api.client().batches
    for _ in range(2):
        found = batches.retrieve(stranded.id) if look == "retrieve" else list(batches.list())[-1]
        assert (found.id, found.status) == (stranded.id, VALIDATING)
    assert started(state_machine) == {stranded.id: {"owner": "key-1", "batch": stranded.id}}


def test_a_batch_that_cannot_be_started_now_either_is_shown(
    api: BatchApi, batch_aws: BatchAws, state_machine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stranded = batch_aws.add_batch(ROWS, created_at=int(time.time()) - 600)
    batch_aws.environment.setenv("STATE_MACHINE_ARN", f"{state_machine}-none")
    assert api.client().batches.retrieve(stranded.id).status == VALIDATING
    assert "StateMachineDoesNotExist" in capsys.readouterr().out


def test_a_batch_without_a_key_that_cannot_be_started_is_failed_and_not_hidden(
    api: BatchApi,
    batch_aws: BatchAws,
    state_machine: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = api.client()
    file_id = uploaded(client)
    batch_aws.environment.setenv("STATE_MACHINE_ARN", f"{state_machine}-none")
    with pytest.raises(openai.InternalServerError) as refused:
        created(client, file_id)
    assert (refused.value.status_code, refused.value.code) == (503, "batches_unavailable")
    assert "StateMachine" not in refused.value.message
    assert "StateMachineDoesNotExist" in capsys.readouterr().out
    (left,) = client.batches.list().data
    assert (left.status, left.id in refused.value.message) == (FAILED, True)
    assert left.errors
    assert left.errors.data
    assert left.errors.data[0].code == "not_started"
    batch_aws.environment.setenv("STATE_MACHINE_ARN", state_machine)
    again = created(client, file_id)
    assert (again.id == left.id, list(started(state_machine))) == (False, [again.id])


def test_a_batch_with_a_key_that_cannot_be_started_is_started_by_a_repeat(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    client = api.client()
    file_id = uploaded(client)
    batch_aws.environment.setenv("STATE_MACHINE_ARN", f"{state_machine}-none")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError) as refused:
            created(client, file_id, **with_key("k"))
        assert (refused.value.status_code, refused.value.code) == (503, "batches_unavailable")
        (left,) = client.batches.list().data
        assert (left.status, left.id in refused.value.message) == (VALIDATING, True)
    batch_aws.environment.setenv("STATE_MACHINE_ARN", state_machine)
    assert created(client, file_id, **with_key("k")) == left
    assert (client.batches.list().data, list(started(state_machine))) == ([left], [left.id])


def test_a_batch_that_was_started_is_not_failed_by_a_repeat_that_cannot_start_it(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    client = api.client()
    file_id = uploaded(client)
    first = created(client, file_id, **with_key("k"))
    batch_aws.environment.setenv("STATE_MACHINE_ARN", f"{state_machine}-none")
    with pytest.raises(openai.InternalServerError):
        created(client, file_id, **with_key("k"))
    batch_aws.environment.setenv("STATE_MACHINE_ARN", state_machine)
    assert client.batches.list().data == [first]
    assert created(client, file_id, **with_key("k")) == first
    assert list(started(state_machine)) == [first.id]


class Killed(BaseException):
    """What ends a function from outside."""


class Dies:
    """A Step Functions client during whose call the function is killed."""

    @property
    def exceptions(self) -> Any:
        return step_functions().exceptions

    def start_execution(self, **_: Any) -> None:
        raise Killed


def test_a_batch_whose_start_was_interrupted_is_started_by_a_repeat(
    batch_aws: BatchAws, state_machine: str
) -> None:
    batch = dataclasses.replace(batch_aws.add_batch(ROWS), id="batch_new")
    with pytest.raises(Killed):
        submit(batch_aws.store, Dies(), state_machine, batch)
    assert not started(state_machine)
    assert submit(batch_aws.store, step_functions(), state_machine, batch) == batch
    assert list(started(state_machine)) == ["batch_new"]
    assert submit(batch_aws.store, step_functions(), state_machine, batch) == batch
    step_functions().stop_execution(
        executionArn=f"{state_machine.replace(':stateMachine:', ':execution:')}:batch_new"
    )
    assert submit(batch_aws.store, step_functions(), state_machine, batch) == batch
    assert list(started(state_machine)) == ["batch_new"]

"""Files and batches over the API while AWS fails: an error as such, then healthy again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import openai
import pytest

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.batch.api.submit import step_functions
from tests.faults.aws.environment import SEED, aws, aws_proxy, environment
from tests.faults.aws.faults import (
    DENIED,
    RESET_AFTER_EXECUTION,
    RESET_BEFORE_EXECUTION,
    THROTTLED,
    TRANSIENT,
    UNAVAILABLE,
)
from tests.support.batch_api import api, state_machine
from tests.support.batch_calls import created, started, uploaded, with_key
from tests.support.batch_environment import batch_aws
from tests.support.caller_faults import CallerFaults, send_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.aws.faults import FaultyAws
    from tests.support.batch_api import BatchApi

__all__ = ["aws", "batch_aws", "aws_proxy", "environment", "api", "state_machine"]


TRIES = 20
STARTS = 3  # attempts of the client of Step Functions


def calls(client: openai.OpenAI, file: str, batch: str) -> dict[str, Callable[[], Any]]:
    """Return a call of each route, by its name."""
    return {
        "upload": lambda: uploaded(client),
        "list files": client.files.list,
        "file": lambda: client.files.retrieve(file),
        "content": lambda: client.files.content(file),
        "create": lambda: created(client, file),
        "list batches": client.batches.list,
        "batch": lambda: client.batches.retrieve(batch),
        "cancel": lambda: client.batches.cancel(batch),
    }


def outcome(call: Callable[[], Any]) -> str:
    """Return what came of a call: `ok`, or the code of an error in OpenAI's shape."""
    try:
        call()
    except openai.APIStatusError as error:
        assert isinstance(error.body, dict)
        return f"{error.status_code} {error.body['code']}"
    return "ok"


DYNAMODB, ALL = ("dynamodb",), ("dynamodb", "s3")


@pytest.mark.parametrize(
    ("fault", "services"),
    [
        (RESET_BEFORE_EXECUTION, DYNAMODB),
        (UNAVAILABLE, DYNAMODB),
        (THROTTLED, DYNAMODB),
        (DENIED, DYNAMODB),
        (DENIED, ALL),
    ],
)
def test_an_aws_outage_is_reported_on_every_route_and_stores_nothing(
    aws_proxy: FaultyAws, api: BatchApi, state_machine: str, fault: str, services: tuple[str, ...]
) -> None:
    client = api.client()
    file = uploaded(client)
    batch = created(client, file).id
    aws_proxy.fault = lambda name: fault if name.partition(".")[0] in services else None
    made = calls(client, file, batch)
    with ThreadPoolExecutor(len(made)) as pool:
        outcomes = dict(zip(made, pool.map(outcome, made.values()), strict=True))
    assert outcomes == dict.fromkeys(made, "503 batches_unavailable")
    aws_proxy.clear_faults()
    assert {name: outcome(call) for name, call in made.items()} == dict.fromkeys(made, "ok")


@pytest.mark.parametrize("fault", [RESET_BEFORE_EXECUTION, RESET_AFTER_EXECUTION])
def test_a_batch_whose_start_failed_is_started_once_by_a_repeat(
    aws_proxy: FaultyAws, api: BatchApi, state_machine: str, fault: str
) -> None:
    client = api.client()
    file, planned = uploaded(client), iter([fault] * STARTS)
    aws_proxy.fault = lambda name: next(planned, None) if name == "states.StartExecution" else None
    with pytest.raises(openai.InternalServerError):
        created(client, file, **with_key("k"))
    batch = created(client, file, **with_key("k"))
    assert aws_proxy.met["states", fault] == STARTS
    assert client.batches.list().data == [batch]
    assert list(started(state_machine)) == [batch.id]


def test_a_batch_created_with_retries_exists_once(
    aws_proxy: FaultyAws, api: BatchApi, state_machine: str
) -> None:
    for used in (dynamodb(), step_functions()):
        send_caller(used)
    client, keys = api.client(), [f"key-{number}" for number in range(8)]
    file = uploaded(client)
    aws_proxy.fault_for = CallerFaults(SEED, [*TRANSIENT, *[None] * 8])

    def insist(key: str) -> str:
        for _ in range(TRIES):
            with suppress(openai.InternalServerError):
                batch: str = created(client, file, **with_key(key)).id
                return batch
        pytest.fail("it was never made")

    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(insist, keys)]
    aws_proxy.clear_faults()
    assert sorted(batch.id for batch in client.batches.list(limit=100)) == sorted(made)
    assert len(started(state_machine)) == len(keys)

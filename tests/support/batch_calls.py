"""Calls that tests of batches have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llm_relay.batch.api.submit import step_functions

if TYPE_CHECKING:
    import openai

ROWS = b'{"custom_id": "canary-row"}\n'
CHAT = "/v1/chat/completions"
DAY = 86_400


def uploaded(client: openai.OpenAI) -> str:
    return client.files.create(file=("rows.jsonl", ROWS), purpose="batch").id


def created(client: openai.OpenAI, file_id: str | None = None, **more: Any) -> Any:
    fields: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h"}
    return client.batches.create(input_file_id=file_id or uploaded(client), **(fields | more))


def with_key(key: str) -> dict[str, Any]:
    return {"extra_headers": {"Idempotency-Key": key}}


def started(state_machine: str) -> dict[str, Any]:
    """The input of every execution that has come about, by its name."""
    client = step_functions()
    found = client.list_executions(stateMachineArn=state_machine)["executions"]
    arns = {each["name"]: each["executionArn"] for each in found}
    return {
        name: json.loads(client.describe_execution(executionArn=arn)["input"])
        for name, arn in arns.items()
    }


def state_of(state_machine: str, name: str) -> str:
    arn = f"{state_machine.replace(':stateMachine:', ':execution:')}:{name}"
    status: str = step_functions().describe_execution(executionArn=arn)["status"]
    return status

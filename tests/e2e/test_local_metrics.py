"""What `make run` shows of its metrics: those of every function, batch workers included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from local.metrics_page.view import PATH
from tests.e2e.batch.batches import chat_row, ended, jsonl, submit, wait_for

if TYPE_CHECKING:
    import openai

    from tests.e2e.conftest import Running

ROUTE = "POST /v1/chat/completions"


def sums(running: Running, **where: str) -> dict[str, float]:
    """The sum of each metric since the stack began."""
    said: dict[str, Any] = requests.get(
        f"{running.stack.base_url}{PATH}.json", params=where, timeout=60
    ).json()
    return {name: metric["whole"]["sum"] for name, metric in said["metrics"].items()}


def test_calls_and_batch_rows_appear_in_the_metrics(
    client: openai.OpenAI, running: Running
) -> None:
    calls, rows = sums(running, route=ROUTE), sums(running)
    messages: Any = [{"role": "user", "content": "Reply with: counted"}]
    client.chat.completions.create(model="abliterated-model", messages=messages)
    ended(client, submit(client, jsonl([chat_row("a", "hi"), chat_row("b", "hi")])))

    def grown(before: dict[str, float], name: str, **where: str) -> float:
        return sums(running, **where).get(name, 0) - before.get(name, 0)

    wait_for(lambda: grown(rows, "RowsCompleted") >= 2)
    assert grown(calls, "Requests", route=ROUTE) == 1
    assert grown(calls, "TokensOut", route=ROUTE) > 0
    assert grown(rows, "RowsCompleted") == 2

"""Files of batch rows, and what comes of them, over the official client."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import openai
    from openai.types import Batch

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MODEL = "abliterated-model"
ENDED = {"completed", "failed", "expired", "cancelled"}


def chat_row(custom_id: str, text: str, model: str = MODEL) -> dict[str, Any]:
    """A row that asks for one chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def responses_row(custom_id: str, text: str, model: str = MODEL) -> dict[str, Any]:
    """A row that asks for one response."""
    body = {"model": model, "input": text}
    return {"custom_id": custom_id, "method": "POST", "url": RESPONSES, "body": body}


def jsonl(rows: Iterable[Any]) -> bytes:
    """Rows as a file."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def submit(client: openai.OpenAI, content: bytes, endpoint: Any = CHAT, **more: Any) -> Batch:
    """Upload a file and submit a batch of it."""
    file = client.files.create(file=("rows.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more
    )


def ended(client: openai.OpenAI, batch: Batch, seconds: float = 200) -> Batch:
    """The batch, once it has ended."""
    wait_for(lambda: client.batches.retrieve(batch.id).status in ENDED, seconds)
    return client.batches.retrieve(batch.id)


def wait_for(condition: Callable[[], bool], seconds: float = 100) -> None:
    """Wait until a condition holds; TimeoutError if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def lines(client: openai.OpenAI, file_id: str | None) -> Iterator[Any]:
    """The lines of a file of results."""
    assert file_id
    for line in client.files.content(file_id).text.splitlines():
        yield json.loads(line)


def by_custom_id(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    """The lines of a file of results, each once."""
    found = list(lines(client, file_id))
    joined = {line["custom_id"]: line for line in found}
    assert len(joined) == len(found)
    return joined

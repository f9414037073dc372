"""The test vectors: requests with known answers, sent through the stack as a client would."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from local.settings import ROOT

EVENTS = ROOT / "events"
TIMEOUT = aiohttp.ClientTimeout(total=120)
DONE = "[DONE]"
DEFAULT_MODEL = "abliterated-model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A request and the text its answer must contain."""

    name: str
    surface: str
    stream: bool
    path: str
    body: str
    contains: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Result of a vector; `reason` is empty if it passed."""

    vector: Vector
    milliseconds: int
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the answer was correct."""
        return not self.reason


class WrongAnswerError(Exception):
    """The stack's answer is wrong; the message says how."""


def read_vectors(folder: Path = EVENTS) -> list[Vector]:
    """Return the vectors of a folder's manifest."""
    return [_read_vector(folder, row) for row in json.loads((folder / "vectors.json").read_text())]


def _read_vector(folder: Path, row: Mapping[str, Any]) -> Vector:
    event = json.loads((folder / row["event"]).read_text())
    return Vector(
        name=row["name"],
        surface=row["surface"],
        stream=row["stream"],
        path=event["path"],
        body=event["body"],
        contains=row["expect"]["contains"],
    )


async def choose_vectors(base_url: str, key: str) -> tuple[str, list[Vector]]:
    """Return a model of the provider and its vectors: one request if it lacks the default model."""
    models = await _listed_models(base_url, key)
    if not models or DEFAULT_MODEL in models:
        return DEFAULT_MODEL, read_vectors()
    messages = [{"role": "user", "content": "Reply with: it works"}]
    request = Vector(
        name=f"a chat completion of {models[0]}",
        surface="chat",
        stream=False,
        path="/v1/chat/completions",
        body=json.dumps({"model": models[0], "messages": messages}),
        contains="",
    )
    return models[0], [request]


async def _listed_models(base_url: str, key: str) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session,
            session.get(f"{base_url}/v1/models") as response,
        ):
            return [str(entry["id"]) for entry in (await response.json())["data"]]
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError):
        return []  # the vectors then show what is wrong


def playground_module(vectors: Iterable[Vector]) -> str:
    """Return the playground's module of vectors; `python -m local.vectors` prints it."""
    rows = (f"  {json.dumps(asdict(vector))},\n" for vector in vectors)
    head = "/** The test vectors of events/, put here by: make vectors */\n"
    return f"{head}export const vectors = [\n{''.join(rows)}];\n"


async def send_all(
    vectors: Sequence[Vector], base_url: str, key: str, report: Callable[[Result], None]
) -> bool:
    """Send the vectors, surfaces in parallel; report each result, return whether all passed."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    async def send_surface(surface: str) -> bool:
        results = []
        for vector in vectors:
            if vector.surface == surface:
                results.append(await _send(session, base_url, vector))
                report(results[-1])
        return all(result.passed for result in results)

    async with aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session:
        return all(await asyncio.gather(*map(send_surface, {v.surface for v in vectors})))


async def _send(session: aiohttp.ClientSession, base_url: str, vector: Vector) -> Result:
    started = time.monotonic()
    reason = ""
    try:
        async with session.post(base_url + vector.path, data=vector.body) as response:
            check(vector, response.status, await response.text())
    except (WrongAnswerError, aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
    milliseconds = round((time.monotonic() - started) * 1000)
    return Result(vector=vector, milliseconds=milliseconds, reason=reason)


def check(vector: Vector, status: int, body: str) -> None:
    """Raise WrongAnswerError unless the answer matches the vector."""
    if status != HTTPStatus.OK:
        raise WrongAnswerError(f"HTTP {status}: {body[:300]}")
    try:
        text = _streamed_text(vector, body) if vector.stream else _whole_text(json.loads(body))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WrongAnswerError(f"not an answer in OpenAI's form: {body[:300]}") from error
    if vector.contains not in text:
        raise WrongAnswerError(f"wanted {vector.contains!r}, got {text[:300]!r}")


def _whole_text(answer: Mapping[str, Any]) -> str:
    if "choices" in answer:
        return str(answer["choices"][0]["message"]["content"])
    parts = [part for item in answer["output"] for part in item.get("content") or []]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def _streamed_text(vector: Vector, body: str) -> str:
    frames = [line[len("data:") :].strip() for line in body.splitlines() if line[:5] == "data:"]
    events = [json.loads(frame) for frame in frames if frame != DONE]
    if vector.surface == "chat":
        ended = frames[-1:] == [DONE]
        choices = [choice for event in events for choice in event.get("choices", [])]
        pieces = [choice["delta"].get("content") or "" for choice in choices]
    else:
        ended = any(event["type"] == "response.completed" for event in events)
        pieces = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    if not ended:
        raise WrongAnswerError(f"the stream did not end as it should: {body[-300:]}")
    return "".join(pieces)


if __name__ == "__main__":
    print(playground_module(read_vectors()), end="")

"""The pace at which a simulator of `make run` writes its streams."""

import json

import pytest

from local.provider_simulator.server import DEFAULT_KEY, Provider
from local.provider_simulator.wire import Json, ProviderRequest, Step

CALLS: dict[str, Json] = {
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "Reply with: one two three"}]
    },
    "/v1/responses": {"input": "Reply with: one two three"},
}


def steps(tokens_per_second: float, path: str, switches: str = "", **body: object) -> list[Step]:
    """Return the steps of an answer, which nothing waits for."""
    request = ProviderRequest(
        method="POST",
        path=path,
        key=DEFAULT_KEY,
        switches=switches,
        body={"model": "abliterated-model", "stream": True, **CALLS[path], **body},
    )
    reply, _ = Provider(tokens_per_second=tokens_per_second).reply(request)
    assert reply.status == 200
    return list(reply.steps)


def waits(steps: list[Step]) -> list[float]:
    """Return the pause before each piece of text; nothing else may wait."""
    assert sum(step.wait_seconds for step in steps if not step.is_piece) == 0
    return [step.wait_seconds for step in steps if step.is_piece]


@pytest.mark.parametrize("path", CALLS)
def test_each_word_of_a_stream_is_a_token(path: str) -> None:
    assert waits(steps(4, path)) == [0, 0.25, 0.25]
    assert sum(waits(steps(60, path, "words=61"))) == pytest.approx(1, rel=0.001)


@pytest.mark.parametrize("path", CALLS)
def test_whole_answers_and_a_simulator_without_a_pace_do_not_wait(path: str) -> None:
    assert waits(steps(0, path)) == [0, 0, 0, 0]
    assert waits(steps(4, path, stream=False)) == []


@pytest.mark.parametrize("path", CALLS)
def test_switches_of_a_request_come_before_the_pace(path: str) -> None:
    assert waits(steps(4, path, "chunks=2")) == [0, 0.25]
    assert waits(steps(4, path, "chunk-delay=0")) == [0, 0, 0]


@pytest.mark.parametrize("text", ["one", "one  two\n\nthree", '{"a": [1, 2]}', "é 🙂 ﷽"])
def test_words_are_split_without_loss(text: str) -> None:
    path = "/v1/responses"
    frames = [step.data.decode() for step in steps(60, path, input=f"Reply with: {text}")]
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames if "data: {" in frame]
    deltas = [event["delta"] for event in events if event["type"].endswith(".delta")]
    assert "".join(deltas) == text
    assert [delta.strip() for delta in deltas] == text.split()

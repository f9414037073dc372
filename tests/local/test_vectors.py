"""What passes for a right answer to a test vector, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.vectors import EVENTS, Vector, WrongAnswerError, check, read_vectors

CHAT_STREAM = 'data: {"choices":[{"delta":{"content":"it "}}]}\n\n: hm\n\ndata: %s\n\n%s'
LAST = '{"choices":[{"delta":{"content":"works"}}]}'
RESPONSES_STREAM = 'event: x\ndata: {"type":"response.output_text.delta","delta":"it works"}\n\n%s'
COMPLETED = 'data: {"type":"response.completed"}\n\n'
RESPONSE = {"output": [{"content": [{"type": "output_text", "text": "it works"}]}]}


def vector(surface: str, *, stream: bool) -> Vector:
    return Vector(
        name="v", surface=surface, stream=stream, path="/p", body="{}", contains="it works"
    )


@pytest.mark.parametrize(
    ("surface", "stream", "body"),
    [
        ("chat", False, json.dumps({"choices": [{"message": {"content": "yes, it works"}}]})),
        ("responses", False, json.dumps(RESPONSE)),
        ("chat", True, CHAT_STREAM % (LAST, "data: [DONE]\n\n")),
        ("responses", True, RESPONSES_STREAM % COMPLETED),
    ],
)
def test_the_expected_text_passes(surface: str, stream: bool, body: str) -> None:
    check(vector(surface, stream=stream), 200, body)


@pytest.mark.parametrize(
    ("surface", "stream", "status", "body", "reason"),
    [
        ("chat", False, 502, "no luck", "HTTP 502: no luck"),
        ("chat", False, 200, "<html>", "not an answer in OpenAI's form"),
        ("chat", False, 200, '{"choices":[{"message":{"content":"no"}}]}', "got 'no'"),
        ("chat", True, 200, CHAT_STREAM % (LAST, ""), "did not end as it should"),
        ("responses", True, 200, RESPONSES_STREAM % "", "did not end as it should"),
    ],
)
def test_anything_else_fails_with_the_reason(
    surface: str, stream: bool, status: int, body: str, reason: str
) -> None:
    with pytest.raises(WrongAnswerError, match=reason):
        check(vector(surface, stream=stream), status, body)


def test_a_vector_is_the_request_of_its_event(tmp_path: Path) -> None:
    row: dict[str, Any] = {"name": "n", "surface": "chat", "stream": False, "event": "e.json"}
    rows = [{**row, "expect": {"contains": "x"}}]
    (tmp_path / "vectors.json").write_text(json.dumps(rows))
    (tmp_path / "e.json").write_text(json.dumps({"path": "/p", "body": '{"a":1}'}))
    assert read_vectors(tmp_path)[0].body == '{"a":1}'


def test_the_projects_vectors_can_be_read() -> None:
    assert {one.surface for one in read_vectors(EVENTS)} == {"chat", "responses"}

"""The stack as it is with SnapStart: callers notice nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.settings import Settings
from local.stack import Stack
from tests.e2e.conftest import Loop, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = "Reply with: it works"


@pytest.fixture(scope="module")
def from_snapshots(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("snapstart") / "functions.log"
    stack = Stack(Settings(log=log, parameters={"SnapStart": "on"}))
    loop.run(stack.__aenter__())
    yield Running(stack, log)
    loop.run(stack.__aexit__(None, None, None))


def test_chat_and_responses_answer_from_snapshots(from_snapshots: Running) -> None:
    functions = from_snapshots.stack.functions.values()
    copied = {f.spec.logical_id for f in functions if f.spec.starts_from_snapshot}
    assert copied == {"ChatCompletionsFunction", "ResponsesFunction"}
    with from_snapshots.client() as client:
        chunks = client.chat.completions.create(
            model="abliterated-model", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert client.responses.create(model="abliterated-model", input=QUESTION).output_text


def test_boto3_signs_with_the_credentials_of_the_restored_copy(
    from_snapshots: Running,
) -> None:
    with from_snapshots.client() as client:
        response = client.responses.create(
            model="abliterated-model", input=QUESTION, background=True
        )
        assert response.status == "queued"

"""No prompt, no answer and no key is ever printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.conftest import PROVIDER_KEY
from tests.support.payloads import (
    COMPLETION,
    DONE,
    QUESTION,
    STREAMED_QUESTION,
    delta,
    frame,
)
from tests.support.scripted_provider import RESET, stream, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import ScriptedProvider

CANARY = "canary-4711"
CLIENT_KEY = "sk-relay-canary-000000000000000000000000"
IDENTITY = {"requestId": "r", "identity": {"apiKeyId": "client-1", "apiKey": CLIENT_KEY}}
ANSWERED = json.dumps(COMPLETION).replace("Hello.", CANARY).encode()
REFUSED = {"error": {"message": CANARY, "type": CANARY, "param": CANARY}}


@pytest.mark.parametrize(
    "script",
    [
        whole(200, ANSWERED),
        whole(200, ANSWERED[:-5]),
        whole(400, REFUSED),
        whole(401, REFUSED),
        whole(500, f"<html>{CANARY}".encode()),
        whole(200, {"error": {"message": CANARY}}),
        stream(delta(CANARY, "stop"), DONE),
        stream(delta(CANARY)),
        stream(delta(CANARY), f"data: {{{CANARY}\n\n".encode()),
        stream(frame({"error": {"message": CANARY}})),
        [RESET],
    ],
)
@pytest.mark.parametrize("question", [QUESTION, STREAMED_QUESTION])
def test_the_log_never_contains_prompts_answers_or_keys(
    provider: ScriptedProvider,
    ask: Callable[..., Answered],
    capfd: pytest.CaptureFixture[str],
    script: Any,
    question: dict[str, Any],
) -> None:
    provider.scripts = [script]
    messages = [{"role": "user", "content": CANARY}]
    headers = {"Authorization": f"Bearer {CLIENT_KEY}"}
    ask(question | {"messages": messages}, headers=headers, requestContext=IDENTITY)
    printed = "".join(capfd.readouterr())
    assert '"message":"request"' in printed
    assert '"_aws"' in printed
    for secret in (CANARY, CLIENT_KEY, PROVIDER_KEY):
        assert secret not in printed


@pytest.mark.parametrize(
    "payload", [CANARY, f'{{"{CANARY}": NaN}}', {"model": CANARY}, {"model": "m", CANARY: CANARY}]
)
def test_a_refused_body_is_not_printed_either(
    ask: Callable[..., Answered], capfd: pytest.CaptureFixture[str], payload: Any
) -> None:
    assert ask(payload).status == 400
    printed = "".join(capfd.readouterr())
    assert '"message":"request"' in printed
    assert CANARY not in printed

"""An answer truncated at every byte: never a clean end, and never retried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.catalogue import NO_FAULT
from tests.faults.classify import classify
from tests.faults.fault import ANSWERED, BROKE, BROKE_OR_CUT, FORMS, Form
from tests.faults.load.callers import Question
from tests.faults.provider.answers import recorded
from tests.faults.provider.wire import EVENTS, JSON, head, lengthy
from tests.support.scripted_provider import CLOSE, RESET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.support.scripted_provider import Script, ScriptedProvider

COST_NANOS = 1000
STRIDES = {("responses", True): 4}  # its events are long, and four bytes of them much alike


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.surface}-{form.streamed}")
def test_an_answer_truncated_anywhere_is_an_error_for_its_caller(
    warm: ScriptedProvider, ask: Callable[..., Answered], form: Form
) -> None:
    body = recorded(form, COST_NANOS)
    offsets = range(0, len(body), STRIDES.get((form.surface, form.streamed), 1))
    warm.scripts = [cut(form, body, offset) for offset in offsets]
    question = Question(name="cut", form=form, fault=NO_FAULT, cost_nanos=COST_NANOS)
    allowed = BROKE_OR_CUT | ANSWERED if form.streamed else BROKE
    wrong = []
    for offset in offsets:
        answer = ask(question.body, form.surface)
        classification = classify(form, answer.status, answer.body)
        if classification[0] not in allowed:
            wrong.append((offset, classification))
    assert not wrong
    assert len(warm.requests) == len(offsets)


def cut(form: Form, body: bytes, offset: int) -> Script:
    """Break off there, with a length or in chunks, and politely or not, by turns."""
    kind = f"Content-Type: {EVENTS if form.streamed else JSON}"
    if offset % 2:
        before = head(kind, lengthy(body))
    else:
        before = head(kind, "Transfer-Encoding: chunked") + b"%x\r\n" % len(body)
    return [before + body[:offset], RESET if offset % 8 == 1 else CLOSE]

"""What comes at once is passed on at once, and nothing waits for what has not come."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.functions.payloads import DONE, STREAMED_QUESTION, delta
from tests.scripted_provider import CLOSE, PATIENCE_SECONDS, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered
    from tests.scripted_provider import ScriptedProvider

FIRST, SECOND = delta("first"), delta("second", "stop")


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 40, -2, -1])
def test_an_event_does_not_wait_for_the_rest_of_a_chunk_behind_it(
    provider: ScriptedProvider, ask: Callable[..., Answered], cut: int
) -> None:
    head, first, second, *rest = stream(FIRST, SECOND, DONE)
    got_it = threading.Barrier(2)
    provider.scripts = [[head, first + second[:cut], got_it, second[cut:], *rest]]
    answer = ask(STREAMED_QUESTION, at_first=lambda: got_it.wait(PATIENCE_SECONDS))
    assert answer.body == FIRST + SECOND + DONE


def test_a_burst_in_one_piece_arrives_byte_for_byte(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    events = [delta(f"word {number} ") for number in range(2000)] + [SECOND, DONE]
    provider.scripts = [[b"".join(stream(*events))]]
    assert ask(STREAMED_QUESTION).body == b"".join(events)


def test_a_burst_that_breaks_off_arrives_up_to_there(
    provider: ScriptedProvider, ask: Callable[..., Answered]
) -> None:
    head, *chunks = stream(FIRST, FIRST, FIRST, end=False)
    provider.scripts = [[head + b"".join(chunks) + b"\r\nno size", CLOSE]]
    body = ask(STREAMED_QUESTION).body
    assert body.startswith(FIRST * 3)
    assert b'"code":"upstream_error"' in body

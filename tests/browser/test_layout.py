"""Message and Send are in view, on a desktop and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.test_access import DESKTOP, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.playground import Playground


def test_a_first_visitor_sees_send_without_scrolling(visit: Callable[..., Playground]) -> None:
    playground = visit(**DESKTOP)
    expect(playground["first-visit"]).to_be_visible()
    assert_in_view(playground, "key", "prompt", "send")


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_message_and_send_are_in_view_without_scrolling(
    visit: Callable[..., Playground], window: dict[str, Any]
) -> None:
    playground = visit(**window)
    playground.give_key()
    assert_in_view(playground, "key", "prompt", "send")
    playground.ask()
    playground.page.evaluate("scrollTo(0, 0)")
    assert_in_view(playground, "key", "prompt", "send")


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_long_message_and_send_are_in_view_together(
    visit: Callable[..., Playground], window: dict[str, Any]
) -> None:
    playground = visit(**window)
    playground.give_key()
    playground["prompt"].fill("A line\n" * 40)
    playground["send"].scroll_into_view_if_needed()
    assert_in_view(playground, "prompt", "send")


def assert_in_view(playground: Playground, *ids: str) -> None:
    for id_ in ids:
        expect(playground[id_]).to_be_in_viewport(ratio=0.98)  # scrolling rounds to pixels

"""The button that runs every test vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from local.vectors import read_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.playground import Playground

COUNT = len(read_vectors())


def test_every_vector_passes(playground: Playground) -> None:
    playground["run-vectors"].click()
    expect(playground["vectors-state"]).to_have_text(f"{COUNT} passed")
    assert playground["vectors"].locator(".pass").count() == COUNT
    names = playground["vectors"].locator("code").all_inner_texts()
    assert names == [vector.name for vector in read_vectors()]


def test_a_vector_that_fails_says_why_and_what_to_do(visit: Callable[..., Playground]) -> None:
    playground = visit()
    playground.give_key("sk-wrong-0000000000000000000000")
    playground["run-vectors"].click()
    expect(playground["vectors-state"]).to_have_text(f"0 passed · {COUNT} failed")
    reasons = playground["vectors"].locator("p").all_inner_texts()
    assert len(reasons) == COUNT
    assert all("401 · invalid_api_key: The client key is unknown" in each for each in reasons)
    assert all("Paste the complete key above" in each for each in reasons)


def test_a_wrong_answer_fails(playground: Playground) -> None:
    wrong = '{"choices": [{"message": {"content": "something else"}}]}'
    playground.page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(body=wrong, content_type="application/json"),
    )
    playground["run-vectors"].click()
    chat = sum(vector.surface == "chat" for vector in read_vectors())
    summary = f"{COUNT - chat} passed · {chat} failed"
    expect(playground["vectors-state"]).to_have_text(summary)
    expect(playground["vectors"].locator("p").first).to_contain_text("got “something else”")

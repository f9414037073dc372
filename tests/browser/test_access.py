"""Everybody can use it: by keyboard, with a screen reader, on a phone, in the dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.playground import Playground

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SMALL = {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True}
FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return ["", true];
  const shown = element.labels?.[0]?.querySelector("span") ?? element;
  const lines = ["", "::before"].map((part) => getComputedStyle(shown, part || null).outlineStyle);
  const name = element.id || element.name || element.textContent.trim();
  return [name, lines.some((line) => line !== "none")];
}"""


def violations(playground: Playground) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(playground.page).response["violations"]
    return [f"{v['id']}: {[node['target'] for node in v['nodes']]}" for v in found]


def unfold(playground: Playground) -> None:
    for summary in playground.page.locator("summary:visible").all():
        summary.click()


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    visit: Callable[..., Playground], window: dict[str, Any], scheme: str
) -> None:
    playground = visit(color_scheme=scheme, **window)
    assert violations(playground) == []
    playground.give_key("sk-wrong-0000000000000000000000")
    playground.ask(ends="Failed")
    playground["run-vectors"].click()
    expect(playground["vectors-state"]).to_have_text(re.compile(r"^0 passed · \d+ failed$"))
    unfold(playground)
    assert violations(playground) == []
    playground.give_key()
    playground["format"].select_option("json_schema")
    playground["tools-example"].click()
    playground.ask("What is the weather in Bath?")
    playground.choose("Reasoning")
    playground.choose("Response headers")
    assert violations(playground) == []


@pytest.mark.parametrize("window", [PHONE, SMALL], ids=["phone", "small phone"])
def test_a_phone_scrolls_in_one_direction_only(
    visit: Callable[..., Playground], window: dict[str, Any]
) -> None:
    playground = visit(**window)
    playground.give_key()
    playground.ask(f"Reply with: {'unbreakable' * 20}")
    unfold(playground)
    wide = playground.page.evaluate("document.documentElement.scrollWidth")
    assert wide == window["viewport"]["width"]


def test_a_phone_scrolls_to_the_answer_and_stays_there(visit: Callable[..., Playground]) -> None:
    playground = visit(**PHONE, reduced_motion="reduce")
    playground.give_key()
    playground.simulate("words=200;chunks=8;chunk-delay=0.1")
    playground["send"].click()
    expect(playground["answer"]).to_contain_text("word2")
    card = "document.getElementById('answer-card').getBoundingClientRect().top"
    assert 0 <= playground.page.evaluate(card) < 50
    expect(playground["state"]).to_have_text("Done")
    assert 0 <= playground.page.evaluate(card) < 50


def test_a_call_needs_no_mouse(visit: Callable[..., Playground]) -> None:
    playground = visit()
    keyboard, key = playground.page.keyboard, playground.key
    tab_to(playground, "key")
    keyboard.type(key)
    expect(playground["key-state"]).to_have_attribute("data-kind", "good")
    tab_to(playground, "surface")
    keyboard.press("ArrowRight")
    tab_to(playground, "prompt")
    keyboard.press("Control+a")
    keyboard.type("Reply with: one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    with playground.page.expect_request("**/v1/responses") as asked:
        keyboard.press("Enter")
    sent: Any = asked.value.post_data_json
    assert sent["input"] == "Reply with: one\ntwo"
    expect(playground["answer"]).to_have_text("one two")
    tab_to(playground, "stream")
    keyboard.press("Space")
    expect(playground["stream"]).not_to_be_checked()
    with playground.page.expect_request("**/v1/responses"):
        keyboard.press("Control+Enter")
    expect(playground["state"]).to_have_text("Done")


def test_a_call_is_stopped_without_a_mouse(playground: Playground) -> None:
    playground.simulate("words=400;chunks=400;chunk-delay=0.1")
    playground["send"].focus()
    playground.page.keyboard.press("Enter")
    expect(playground["answer"]).to_contain_text("word2")
    expect(playground["stop"]).to_be_focused()
    playground.page.keyboard.press("Enter")
    expect(playground["state"]).to_have_text("Stopped")
    expect(playground["send"]).to_be_focused()


def test_the_tab_key_goes_down_the_page_and_shows_where_it_is(
    visit: Callable[..., Playground],
) -> None:
    playground = visit()
    passed = list[str]()
    while len(passed) < 60:
        playground.page.keyboard.press("Tab")
        name, outlined = playground.page.evaluate(FOCUSED)
        if not name:
            break
        assert outlined, name
        passed.append(name)
    order = ["copy-base-url", "show-key", "key", "surface", "model", "prompt", "stream", "send"]
    order += ["answer", "copy-code", "language", "code", "run-vectors"]
    assert [name for name in passed if name in order] == order


def test_the_answer_is_announced_to_screen_readers_once_complete(playground: Playground) -> None:
    answer = playground["answer"]
    assert answer.get_attribute("aria-live") == "polite"
    playground.simulate("words=30;chunks=8;chunk-delay=0.1")
    playground["send"].click()
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(answer).to_contain_text("word30")
    expect(answer).to_have_attribute("aria-busy", "false")


def test_nothing_is_animated_under_prefers_reduced_motion(visit: Callable[..., Playground]) -> None:
    moving = "document.getAnimations().length"
    still, lively = visit(reduced_motion="reduce"), visit(reduced_motion="no-preference")
    for playground in (still, lively):
        playground.give_key()
        playground.simulate("words=400;chunks=400;chunk-delay=0.1")
        playground["send"].click()
        expect(playground["answer"]).to_contain_text("word2")
    assert still.page.evaluate(moving) == 0
    assert lively.page.evaluate(moving) > 0


def tab_to(playground: Playground, name: str) -> None:
    for _ in range(60):
        if playground.page.evaluate(FOCUSED)[0] == name:
            return
        playground.page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key never came to {name}")

"""What the page keeps, where it may go, and what it makes of hostile text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from local.stack import Stack
    from tests.browser.playground import Playground

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b>"
VIOLATION = """() => new Promise((resolve) => {
  const tell = (event) => resolve(event.effectiveDirective);
  document.addEventListener("securitypolicyviolation", tell, { once: true });
  setTimeout(() => resolve("allowed"), 20_000);
  const add = (tag, properties) => {
    const made = Object.assign(document.createElement(tag), properties);
    document.body.append(made);
    return made;
  };
  %s;
})"""
FORBIDDEN = {  # and the directive that forbids it
    "fetch('https://example.com/').catch(() => 0)": "connect-src",
    "new Image().src = 'https://example.com/pixel.png'": "img-src",
    "add('script', { src: '/v1/models' })": "script-src-elem",
    "add('script', { textContent: 'alert(1)' })": "script-src-elem",
    "add('b', {}).setAttribute('onclick', 'alert(1)')": "script-src-attr",
    "add('style', { textContent: '* { color: red }' })": "style-src-elem",
    "add('base', { href: 'https://example.com/' })": "base-uri",
    "add('form', { action: 'https://example.com/' }).submit()": "form-action",
}


@pytest.mark.parametrize("path", ["/", "/relay", "/relay/"])
def test_the_page_finds_its_endpoint_wherever_it_is_mounted(
    visit: Callable[..., Playground], path: str
) -> None:
    playground = visit(path)
    playground.give_key()
    assert playground["base-url"].inner_text().endswith(f"{path.rstrip('/')}/v1")
    with playground.page.expect_request("**/chat/completions") as asked:
        assert playground.ask() == "it works"
    assert asked.value.url == playground["base-url"].inner_text() + "/chat/completions"


def test_what_a_model_writes_is_text_and_never_markup(playground: Playground) -> None:
    dialogs: list[str] = []
    playground.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    assert playground.ask(f"Reply with: {MARKUP}") == MARKUP
    assert playground["answer"].locator("img, script, b").count() == 0
    assert dialogs == []


def test_the_key_stays_in_its_tab(playground: Playground) -> None:
    playground.ask()
    page, key = playground.page, playground["key"].input_value()
    assert page.evaluate("Object.values(sessionStorage)") == [key]
    assert page.evaluate("Object.keys(localStorage)") == []
    assert page.context.cookies() == []
    assert key not in page.url
    page.reload()
    expect(playground["key"]).to_have_value(key)
    other_tab = page.context.new_page()
    other_tab.goto(page.url)
    assert other_tab.locator("#key").input_value() == ""


def test_no_code_shows_the_key(playground: Playground) -> None:
    key = playground["key"].input_value()
    for language in ("curl", "Python", "Node"):
        playground.choose(language)
        assert key not in playground["code"].inner_text()
    assert key not in playground.page.content()


def test_the_content_security_policy_allows_only_what_the_page_needs(
    browser: Browser, stack: Stack
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(stack.base_url)
        refused = {attempt: page.evaluate(VIOLATION % attempt) for attempt in FORBIDDEN}
    assert refused == FORBIDDEN

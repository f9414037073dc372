"""On the local stack the key is filled in, and no other page can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from local.client_key_route import PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Route

    from local.stack import Stack
    from tests.browser.playground import Playground

TRY_TO_READ = """async ([url, mode]) => {
  try {
    const answer = await fetch(url, { mode });
    return `${answer.status} ${await answer.text()}`;
  } catch (error) {
    return error.name;
  }
}"""
TRY_AS_SCRIPT = """url => new Promise((resolve) => {
  const script = Object.assign(document.createElement("script"), { src: url });
  script.onload = () => resolve("loaded");
  script.onerror = () => resolve("refused");
  document.body.append(script);
})"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_new_user_of_the_local_stack_presses_send(
    visit: Callable[..., Playground], host: str
) -> None:
    playground = visit(host=host, offers_key=True)
    expect(playground["key-state"]).to_contain_text("Filled in by make run")
    expect(playground["key"]).to_have_value(playground.key)
    expect(playground["key"]).to_have_attribute("type", "password")
    expect(playground["first-visit"]).to_be_hidden()
    playground["send"].click()
    expect(playground["state"]).to_have_text("Done")
    assert playground.key not in playground.page.content() + playground.page.url


def test_a_key_that_was_typed_is_not_replaced(visit: Callable[..., Playground]) -> None:
    held: list[Route] = []
    playground = visit(offers_key=True)
    playground.page.evaluate("sessionStorage.clear()")
    playground.page.route(f"**{PATH}", lambda route: held.append(route))  # noqa: PLW0108
    with playground.page.expect_request(f"**{PATH}"):
        playground.page.reload()
    playground["key"].fill("sk-typed-00000000000000000000")
    with playground.page.expect_response(f"**{PATH}"):
        held[0].continue_()
    expect(playground["key-state"]).to_have_attribute("data-kind", "bad")
    expect(playground["key"]).to_have_value("sk-typed-00000000000000000000")


def test_a_page_under_another_name_never_asks_for_the_key(
    visit: Callable[..., Playground],
) -> None:
    playground = visit(host="relay.example")
    asked = list[str]()
    playground.page.on("request", lambda request: asked.append(request.url))
    playground.page.reload()
    expect(playground["first-visit"]).to_be_visible()
    playground.give_key()
    assert asked
    assert not [url for url in asked if PATH in url]


@pytest.mark.parametrize("page_url", ["http://evil.example/", "http://localhost:1/", "{rebound}"])
def test_a_page_of_another_origin_cannot_read_the_key(
    browser: Browser, stack: Stack, page_url: str
) -> None:
    rebound = stack.base_url.replace("127.0.0.1", "rebound.example")
    page_url = page_url.format(rebound=f"{rebound}/evil.html")
    with browser.new_context() as context:
        page = context.new_page()
        page.route(page_url, lambda route: route.fulfill(body="<p>", content_type="text/html"))
        page.goto(page_url)
        for mode in ("cors", "no-cors", "same-origin"):
            for url in (stack.base_url + PATH, rebound + PATH):
                read = page.evaluate(TRY_TO_READ, [url, mode])
                assert read in ("TypeError", "0 ", "403 Only for the playground of this stack.")
        assert page.evaluate(TRY_AS_SCRIPT, stack.base_url + PATH) == "refused"

"""A real Chromium, in front of a real local stack."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from local.client_key_route import PATH as KEY_PATH
from local.settings import Settings
from local.stack import Stack
from tests.browser import chromium
from tests.browser.playground import TIMEOUT_MILLISECONDS, Playground
from tests.e2e.conftest import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

# What Chromium says of every answer of 400 or more, and of a network that is switched off.
ABOUT_ANSWERS = "Failed to load resource"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack in front of the provider simulator."""
    loop = Loop()
    log = tmp_path_factory.mktemp("stack") / "functions.log"
    # A page that is opened for every test is opened more often than by people.
    parameters = {"ThrottleRequestsPerSecond": 1000, "ThrottleBurst": 1000}
    stack = Stack(Settings(log=log, parameters=parameters))
    with closing(loop):
        loop.run(stack.__aenter__())
        yield stack
        loop.run(stack.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find() or pytest.exit(chromium.MISSING, returncode=1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Callable[..., Playground]]:
    """Open the playground in a window of its own, which may never complain on its console."""
    contexts, complaints = [], list[str]()

    def visit(
        path: str = "/", *, host: str = "127.0.0.1", offers_key: bool = False, **window: Any
    ) -> Playground:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | window))
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        if not offers_key:  # as on AWS, where the visitor brings the key
            context.route(f"**{KEY_PATH}", lambda route: route.fulfill(status=403))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type in ("error", "warning") and ABOUT_ANSWERS not in said.text
                else None
            ),
        )
        page.goto(stack.base_url.replace("127.0.0.1", host) + path)
        return Playground(page, stack.client_key)

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def playground(visit: Callable[..., Playground]) -> Playground:
    """The playground with a key that was accepted."""
    playground = visit()
    playground.give_key()
    return playground

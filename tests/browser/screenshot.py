"""`make screenshot`: the playground after an answer, as the README shows it."""

from __future__ import annotations

import asyncio
import sys

from playwright.sync_api import sync_playwright

from local.settings import PORT, Settings
from local.stack import Stack
from tests.browser import chromium
from tests.browser.playground import Playground

PROMPT = (
    "Reply with: An idempotency key lets a client repeat a request without paying for it twice. "
    "The endpoint remembers the first answer under that key, and gives it again for an hour."
)


async def main(path: str) -> None:
    """Take the picture with a stack of its own, where the README has it."""
    async with Stack(Settings(port=PORT)) as stack:
        await asyncio.to_thread(take, stack, path)


def take(stack: Stack, path: str) -> None:
    """Open the page, ask, and keep what it looks like."""
    with sync_playwright() as playwright:
        found = chromium.find() or sys.exit(chromium.MISSING)
        browser = playwright.chromium.launch(executable_path=found, args=chromium.ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 972})
        page.goto(stack.base_url)
        playground = Playground(page, stack.client_key)
        playground.give_key()
        playground.choose("Python")
        playground.ask(PROMPT)  # the first call starts a function
        playground.ask(PROMPT)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

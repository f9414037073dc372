"""The playground as its visitor uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

TIMEOUT_MILLISECONDS = 60_000  # with what a slow machine will do in the end
expect.set_options(timeout=TIMEOUT_MILLISECONDS)

MODEL = "abliterated-model"


class Playground:
    """An open window."""

    def __init__(self, page: Page, key: str) -> None:
        self.page = page
        self.key = key

    def __getitem__(self, id_: str) -> Locator:
        """Return the element of an id."""
        return self.page.locator(f"#{id_}")

    def give_key(self, key: str | None = None) -> None:
        """Paste a key, the right one if none is named, and wait for what is said of it."""
        self["key"].fill(key or self.key)
        self["key"].blur()
        kind = "bad" if key else "good"
        expect(self["key-state"]).to_have_attribute("data-kind", kind)

    def choose(self, text: str) -> None:
        """Click a radio button's label, or unfold a part of the form."""
        self.page.get_by_text(text, exact=True).click()

    def stream(self, streamed: bool) -> None:
        """Switch streaming on or off."""
        if self["stream"].is_checked() != streamed:
            self.choose("Stream the answer as it is written")
        expect(self["stream"]).to_be_checked(checked=streamed)

    def simulate(self, switches: str) -> None:
        """Have the simulated provider answer in a way of its own."""
        self["model"].select_option("other")
        self["other-model"].fill(f"{MODEL}@{switches}")

    def ask(self, prompt: str = "Reply with: it works", *, ends: str = "Done") -> str:
        """Send a message; return the answer's text once the call has ended as it should."""
        self["prompt"].fill(prompt)
        self["send"].click()
        expect(self["state"]).to_have_text(ends)
        return self["answer"].inner_text()

    def figures(self) -> dict[str, str]:
        """Return the figures by name."""
        names, values = self["figures"].locator("dt"), self["figures"].locator("dd")
        return dict(zip(names.all_inner_texts(), values.all_inner_texts(), strict=True))

    def headers(self) -> dict[str, str]:
        """Return the response headers as the table has them."""
        self.choose("Response headers")
        rows = self["headers"].locator("tr").all()
        cells = [row.locator("th, td").all_inner_texts() for row in rows]
        return {name: value for name, value, _ in cells}

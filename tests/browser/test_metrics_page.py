"""The page of `make run`'s metrics: it draws what was measured, for everybody."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import openai
import pytest
from playwright.sync_api import expect

from local.metrics_page.view import PATH
from tests.browser.test_access import DESKTOP, PHONE, SMALL, violations

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from local.stack import Stack
    from tests.browser.playground import Playground


@pytest.fixture
def with_calls(stack: Stack) -> None:
    """A call that came off, and one that the provider refused."""
    messages: Any = [{"role": "user", "content": "hi"}]
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.client_key) as client:
        client.chat.completions.create(model="abliterated-model", messages=messages)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="abliterated-model@status=400", messages=messages)


def panel(page: Page, title: str) -> Any:
    return page.locator(".panel").filter(has=page.get_by_role("heading", name=title, exact=True))


def sum_of(page: Page, title: str, label: str) -> Any:
    return panel(page, title).get_by_role("row", name=label).get_by_role("cell")


@pytest.mark.usefixtures("with_calls")
def test_measurements_are_drawn_and_described_and_update_by_themselves(
    visit: Callable[..., Playground], stack: Stack
) -> None:
    page = visit(PATH).page
    label = panel(page, "Requests").get_by_role("img").get_attribute("aria-label")
    assert label
    assert label.startswith("Requests since the start: requests ")
    assert panel(page, "Requests").locator("svg rect").count() >= 2
    assert panel(page, "Total time").locator("svg path.b").count() == 1
    before = int(sum_of(page, "Requests", "requests").inner_text())
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.client_key) as client:
        client.responses.create(model="abliterated-model", input="hi")
    expect(sum_of(page, "Requests", "requests")).to_have_text(str(before + 1))
    page.get_by_label("Route").select_option("POST /v1/chat/completions")
    expect(sum_of(page, "Requests", "requests")).not_to_have_text(str(before + 1))


@pytest.mark.parametrize("count", [1, 5])
def test_request_counts_have_no_fractional_ticks(
    visit: Callable[..., Playground], count: int
) -> None:
    whole = {"count": count, "sum": count}
    requests = {"unit": "Count", "steps": [{"at": 990, "sum": count}], "whole": whole, "by": {}}
    figures = {"now": 1000, "step_seconds": 10, "routes": [], "metrics": {"Requests": requests}}
    page = visit(PATH).page
    page.route(f"**{PATH}.json", lambda route: route.fulfill(json=figures))
    expect(sum_of(page, "Requests", "requests")).to_have_text(str(count))
    ticks = panel(page, "Requests").locator("svg text").all_text_contents()
    assert [tick for tick in ticks if "." in tick] == []
    assert str({1: 2, 5: 6}[count]) in ticks


@pytest.mark.usefixtures("with_calls")
@pytest.mark.parametrize("window", [DESKTOP, SMALL], ids=["desktop", "small phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    visit: Callable[..., Playground], window: dict[str, Any], scheme: str
) -> None:
    shown = visit(PATH, color_scheme=scheme, **window)
    expect(panel(shown.page, "Requests")).to_be_visible()
    assert violations(shown) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert shown.page.evaluate(wide) == 0


@pytest.mark.usefixtures("with_calls")
def test_a_phone_scrolls_the_table_inside_its_card(visit: Callable[..., Playground]) -> None:
    page = visit(PATH, **PHONE).page
    table = page.get_by_role("region", name="All metrics of this run")
    name = table.get_by_role("rowheader", name="TotalTime")
    last = table.get_by_role("row", name="TotalTime").get_by_role("cell").last
    name.scroll_into_view_if_needed()
    expect(name).to_be_in_viewport(ratio=1)
    expect(last).not_to_be_in_viewport()
    table.evaluate("table => table.scrollTo(table.scrollWidth, 0)")
    for cell in (name, last):
        expect(cell).to_be_in_viewport(ratio=0.98)
    for _ in range(2):  # new figures keep the position
        with page.expect_response(f"**{PATH}.json"):
            pass
    expect(last).to_be_in_viewport(ratio=0.98)
    page.mouse.wheel(500, 0)
    assert page.evaluate("[document.documentElement.scrollWidth, scrollX]") == [390, 0]


def test_without_data_the_page_says_what_to_do_and_that_works(
    visit: Callable[..., Playground], stack: Stack
) -> None:
    def nothing(route: Route) -> None:
        route.fulfill(json={"now": 0, "step_seconds": 10, "routes": [], "metrics": {}})

    shown = visit(PATH)
    shown.page.route(f"**{PATH}.json", nothing)
    expect(shown.page.get_by_text("No metrics yet")).to_be_visible()
    assert violations(shown) == []
    command = shown.page.locator("#curl").inner_text()
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)  # noqa: S603
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_a_stopped_stack_is_reported_with_how_to_restart_it(
    visit: Callable[..., Playground],
) -> None:
    page = visit(PATH).page
    page.route(f"**{PATH}.json", lambda route: route.abort())
    expect(page.get_by_role("status")).to_contain_text("make run")

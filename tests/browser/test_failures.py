"""Every failure is shown, with its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_access import PHONE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.playground import Playground

PLACES = ("make run", "ShowClientKey", "relay keys create", "--local")
WRONG_KEY = "sk-wrong-0000000000000000000000"
MISTAKES = [
    ("tools", "{", "The tools must be JSON: "),
    ("tools", '[{"parameters": {}}]', 'Tool 1 has no "name".'),
    ("temperature", "3", "from 0 to 2"),
    ("max-tokens", "1.5", "whole number"),
    ("image-url", "stonehenge.jpg", "starts with https://"),
    ("prompt", " ", "Write a message."),
]


def empty_height(playground: Playground) -> float:
    """Return how much room is kept free for an answer that is not there."""
    height: float = playground["answer"].evaluate("answer => answer.offsetHeight")
    return height


def failure(playground: Playground) -> str:
    return playground["failure"].inner_text()


def test_a_first_visitor_is_shown_where_to_get_a_key(visit: Callable[..., Playground]) -> None:
    playground = visit()
    welcome = playground["first-visit"].inner_text()
    assert all(place in welcome for place in PLACES)
    playground["send"].click()
    assert "There is no client key yet" in failure(playground)
    expect(playground["key"]).to_be_focused()


def test_a_phone_shows_the_field_that_has_to_be_fixed(visit: Callable[..., Playground]) -> None:
    playground = visit(**PHONE, reduced_motion="reduce")
    playground["send"].click()
    expect(playground["key"]).to_be_focused()
    expect(playground["key"]).to_be_in_viewport()


@pytest.mark.parametrize("mark", ['"', "'", "“"])
def test_a_key_with_its_quotation_marks_is_reported_as_such(
    visit: Callable[..., Playground], mark: str
) -> None:
    playground = visit()
    playground.give_key(f"{mark}{playground.key}{mark}")
    assert "quotation marks" in playground["key-state"].inner_text()


def test_vectors_without_a_key_are_not_called_ready(visit: Callable[..., Playground]) -> None:
    playground = visit()
    playground["run-vectors"].click()
    expect(playground["state"]).to_have_text("Failed")
    expect(playground["key"]).to_be_focused()


def test_a_wrong_key_is_reported_at_once_and_again_when_it_is_used(
    visit: Callable[..., Playground],
) -> None:
    playground = visit()
    playground.give_key(WRONG_KEY)
    assert "The client key is unknown" in playground["key-state"].inner_text()
    playground.ask(ends="Failed")
    assert failure(playground).startswith("401 · invalid_api_key")
    assert "Paste the complete key above" in failure(playground)


def test_a_refused_body_names_the_field(playground: Playground) -> None:
    playground.choose("Tools and structured output")
    playground["tools"].fill('{"name": "f", "parameters": {"type": "objekt"}}')
    playground.ask(ends="Failed")
    shown = failure(playground)
    assert shown.startswith("400 · invalid_request")
    assert "Field: tools[0].function.parameters" in shown
    assert "Request id: " in shown


def test_a_provider_refusal_is_shown_with_its_message(playground: Playground) -> None:
    playground.simulate("status=429;retry-after=30")
    playground.ask(ends="Failed")
    assert failure(playground).startswith("429")
    assert not {"First token", "Total time"} & {*playground.figures()}
    assert empty_height(playground) == 0
    assert "Send again in 30 s." in failure(playground)


@pytest.mark.parametrize("surface", ["Chat completions", "Responses"])
def test_an_interrupted_stream_keeps_the_received_text(
    playground: Playground, surface: str
) -> None:
    playground.choose(surface)
    playground.simulate("words=20;chunks=10;fault=cut")
    answer = playground.ask(ends="Failed")
    assert "word1" in answer
    assert failure(playground).startswith("Error during the stream")
    assert "Send it again for a complete answer." in failure(playground)
    assert "Total time" not in playground.figures()


def test_an_unreachable_endpoint_is_reported_with_what_to_check(playground: Playground) -> None:
    playground.page.context.set_offline(True)
    playground.ask(ends="Failed")
    assert failure(playground).startswith("No answer")
    assert "make run" in failure(playground)


def test_a_mistake_in_the_form_is_not_sent(playground: Playground) -> None:
    sent: list[str] = []
    playground.page.on("request", lambda request: sent.append(request.url))
    for part in ("Sampling and instructions", "Image", "Tools and structured output"):
        playground.choose(part)
    for field, value, shown in MISTAKES:
        playground[field].fill(value)
        playground["send"].click()
        expect(playground["failure"]).to_contain_text(shown)
        expect(playground[field]).to_be_focused()
        playground[field].fill("")
    assert sent == []


def test_an_image_that_does_not_fit_is_refused_before_it_is_sent(
    playground: Playground, tmp_path: Path
) -> None:
    image = tmp_path / "large.png"
    image.write_bytes(bytes(4 * 1024 * 1024 + 1))
    playground.choose("Image")
    playground["image-file"].set_input_files(image)
    expect(playground["image-state"]).to_contain_text("4 MB fit in a request")
    assert playground.ask() == "it works"

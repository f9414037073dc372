"""The Send and Stop buttons."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.playground import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.playground import Playground

# Looks at the answer in every frame that is painted, and notes how long it was when it had grown.
WATCH_PAINTS = """() => {
  const answer = document.getElementById("answer");
  window.paints = [];
  let longest = 0;
  const look = () => {
    const busy = answer.getAttribute("aria-busy") === "true";
    const length = answer.textContent.length;
    if (busy && length > longest) window.paints.push((longest = length));
    requestAnimationFrame(look);
  };
  look();
}"""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SURFACES = ("Chat completions", "Responses")


@pytest.mark.parametrize("surface", SURFACES)
def test_a_message_is_answered_streamed_and_buffered(playground: Playground, surface: str) -> None:
    playground.choose(surface)
    for streamed in (True, False):
        playground.stream(streamed)
        assert playground.ask(f"Reply with: streamed {streamed}") == f"streamed {streamed}"
        figures = playground.figures()
        assert {"First token", "Total time", "Tokens", "Attempts", "Relay overhead"} <= {*figures}


@pytest.mark.parametrize("surface", SURFACES)
def test_a_stream_is_painted_as_it_arrives(playground: Playground, surface: str) -> None:
    playground.choose(surface)
    playground.simulate("words=30;chunks=8;chunk-delay=0.1")
    playground.page.evaluate(WATCH_PAINTS)
    answer = playground.ask()
    paints = playground.page.evaluate("window.paints")
    assert len(paints) >= 3
    assert answer.endswith("word30")
    assert re.fullmatch(r"\d+ tokens/s", playground.figures()["Speed"])


def test_stop_closes_the_connection_and_keeps_the_received_text(playground: Playground) -> None:
    aborted: list[str] = []
    playground.page.on("requestfailed", lambda request: aborted.append(request.failure or ""))
    playground.simulate("words=400;chunks=400;chunk-delay=0.1")
    playground["send"].click()
    expect(playground["answer"]).to_contain_text("word2")
    playground["stop"].click()
    expect(playground["state"]).to_have_text("Stopped")
    assert "word2" in playground["answer"].inner_text()
    assert "word399" not in playground["answer"].inner_text()
    assert aborted == ["net::ERR_ABORTED"]
    figures = playground.figures()
    assert "Total time" not in figures
    assert {"First token", "Time"} <= {*figures}
    playground["model"].select_option(MODEL)
    assert playground.ask("Reply with: once more") == "once more"


def test_a_buffered_answer_shows_its_cost_and_the_remaining_requests(
    playground: Playground,
) -> None:
    playground.stream(False)
    playground.ask()
    figures, headers = playground.figures(), playground.headers()
    assert figures["Cost"] == f"${float(headers['x-relay-cost-usd']):.6f}"
    assert figures["Attempts"] == headers["x-relay-attempts"] == "1"
    assert figures["Requests left"].startswith(headers["x-ratelimit-remaining-requests"])
    assert headers["x-request-id"]


def test_a_stream_s_cost_is_computed_from_the_listed_price(playground: Playground) -> None:
    playground.ask()
    figures = playground.figures()
    tokens_in, tokens_out = map(int, re.findall(r"\d+", figures["Tokens"]))
    assert figures["Cost"] == f"≈ ${tokens_in * 1e-6 + tokens_out * 3e-6:.6f}"


def test_a_retried_call_shows_its_attempts(playground: Playground) -> None:
    playground.simulate("status=503;times=1;id=playground;retry-after=0")
    playground.ask()
    assert playground.figures()["Attempts"] == "2"


def test_reasoning_is_shown_apart_from_the_answer(playground: Playground) -> None:
    assert playground.ask() == "it works"
    playground["reasoning-row"].locator("summary").click()
    assert playground["reasoning"].inner_text() == "The user wants a short answer."


@pytest.mark.parametrize("surface", SURFACES)
def test_a_tool_call_is_shown_streamed_and_buffered(playground: Playground, surface: str) -> None:
    playground.choose(surface)
    playground.choose("Tools and structured output")
    playground["tools-example"].click()
    for streamed in (True, False):
        playground.stream(streamed)
        playground.ask("What is the weather in Bath?")
        assert playground["calls"].locator("code").inner_text() == "get_weather"
        assert playground["answer"].evaluate("answer => answer.offsetHeight") == 0
        assert "city" in json.loads(playground["calls"].locator("pre").inner_text())


@pytest.mark.parametrize("surface", SURFACES)
def test_an_answer_can_be_held_to_a_schema(playground: Playground, surface: str) -> None:
    playground.choose(surface)
    playground.choose("Tools and structured output")
    playground["format"].select_option("json_schema")
    assert "greeting" in json.loads(playground.ask("Greet me"))


@pytest.mark.parametrize("surface", SURFACES)
def test_an_image_is_sent(playground: Playground, surface: str, tmp_path: Path) -> None:
    image = tmp_path / "pixel.png"
    image.write_bytes(PIXEL)
    playground.choose(surface)
    playground.choose("Image")
    playground["image-file"].set_input_files(image)
    expect(playground["image-preview"]).to_be_visible()
    answer = playground.ask("What is this?")
    assert answer == f"I see an image: image/png, {len(PIXEL)} bytes."


def test_instructions_and_limits_are_sent(playground: Playground) -> None:
    playground.choose("Sampling and instructions")
    playground["system"].fill("Be brief.")
    playground["temperature"].fill("0.5")
    playground["max-tokens"].fill("2")
    with playground.page.expect_request("**/v1/chat/completions") as asked:
        answer = playground.ask("Reply with: one two three")
    body: Any = asked.value.post_data_json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["max_tokens"]) == (0.5, 2)
    assert answer.splitlines()[0] == "one two"
    assert "token limit" in answer


def test_the_model_list_shows_each_models_details(playground: Playground) -> None:
    listed = playground["model"].locator("option").all_inner_texts()
    assert listed[:2] == ["abliterated-model", "abliterated-model-large"]
    facts = playground["model-facts"].inner_text()
    assert facts.startswith("262,144 tokens of context · $1.00 in, $3.00 out per million tokens")

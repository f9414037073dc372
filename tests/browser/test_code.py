"""The same call in code: what is copied out of the page runs."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.test_sending import PIXEL, SURFACES

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.playground import Playground

TRICKY = """it's "quoted", $HOME, `true`, 100% \\ häßlich 🙂"""
# Takes the place of the SDK, and tells what it was called with.
RECORDER = """async (code) => {
  const calls = [];
  // Neither a stream of an SDK nor an answer, but enough of both.
  const ANSWER = Object.assign([], { choices: [{ message: {} }], output_text: "" });
  const create = async (body) => (calls.push(body), ANSWER);
  class OpenAI {
    constructor(settings) {
      calls.push(settings.baseURL);
      this.chat = { completions: { create } };
      this.responses = { create };
    }
  }
  const process = { stdout: { write() {} } };
  const Async = (async () => {}).constructor;
  await new Async("OpenAI", "process", code)(OpenAI, process);
  return calls;
}"""


def copied(playground: Playground, language: str) -> str:
    """Copy the code as its reader does."""
    playground.choose(language)
    playground.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    playground["copy-code"].click()
    code: str = playground.page.evaluate("navigator.clipboard.readText()")
    return code


def test_the_button_has_its_name_again_after_two_clicks(playground: Playground) -> None:
    playground.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    playground.page.clock.install()
    for _ in range(2):
        playground["copy-code"].click()
        expect(playground["copy-code"]).to_have_text("Copied")
        playground.page.evaluate("navigator.clipboard.readText()")  # once it is written
    playground.page.clock.run_for(5000)
    expect(playground["copy-code"]).to_have_text("Copy")


def printed_by_a_shell(code: str, key: str) -> str:
    environ = os.environ | {"OPENAI_API_KEY": key}
    done = subprocess.run(  # noqa: S603 - what the page itself wrote
        ["sh", "-c", code],  # noqa: S607
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def printed_by_python(code: str) -> str:
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})  # noqa: S102 - what the page itself wrote
    return printed.getvalue()


def called_by_node(browser: Browser, code: str) -> list[Any]:
    """Run the code with a stand-in for the SDK; return its base URL and what it was asked."""
    imported, code = code.split("\n", 1)
    assert imported == 'import OpenAI from "openai";'
    with browser.new_context() as context:
        calls: list[Any] = context.new_page().evaluate(RECORDER, code)
    return calls


def fill_in_everything(playground: Playground, folder: Path) -> None:
    image = folder / "pixel.png"
    image.write_bytes(PIXEL)
    for part in ("Sampling and instructions", "Image", "Tools and structured output"):
        playground.choose(part)
    playground["system"].fill(TRICKY)
    playground["temperature"].fill("0.5")
    playground["max-tokens"].fill("50")
    playground["image-file"].set_input_files(image)
    playground["tools-example"].click()
    playground["format"].select_option("json_schema")


@pytest.mark.parametrize("surface", SURFACES)
def test_the_code_for_a_terminal_runs(playground: Playground, surface: str) -> None:
    playground.choose(surface)
    playground["prompt"].fill(f"Reply with: {TRICKY}")
    streamed = printed_by_a_shell(copied(playground, "curl"), playground.key)
    assert streamed.count("data: {") > 3
    playground.stream(False)
    whole = json.loads(printed_by_a_shell(copied(playground, "curl"), playground.key))
    assert json.dumps(TRICKY) in json.dumps(whole)


@pytest.mark.parametrize("surface", SURFACES)
def test_the_code_in_python_runs(
    playground: Playground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, surface: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", playground.key)
    playground.choose(surface)
    playground["prompt"].fill(f"Reply with: {TRICKY}")
    for streamed in (True, False):
        playground.stream(streamed)
        assert printed_by_python(copied(playground, "Python")).strip() == TRICKY
    fill_in_everything(playground, tmp_path)
    playground["prompt"].fill("What is the weather in Bath?")
    assert "get_weather" in printed_by_python(copied(playground, "Python"))


@pytest.mark.parametrize("surface", SURFACES)
def test_the_code_for_node_makes_the_call_that_the_page_makes(
    playground: Playground, browser: Browser, tmp_path: Path, surface: str
) -> None:
    playground.choose(surface)
    fill_in_everything(playground, tmp_path)
    for streamed in (True, False):
        playground.stream(streamed)
        with playground.page.expect_request("**/v1/**") as asked:
            playground.ask(TRICKY)
        called = called_by_node(browser, copied(playground, "Node"))
        assert called == [playground["base-url"].inner_text(), asked.value.post_data_json]


def test_an_image_is_shown_short_and_copied_whole(playground: Playground, tmp_path: Path) -> None:
    fill_in_everything(playground, tmp_path)
    shown, whole = playground["code"].inner_text(), copied(playground, "curl")
    assert "…" in shown
    assert "…" not in whole
    assert len(whole) > len(shown)

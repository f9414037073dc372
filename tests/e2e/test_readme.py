"""The README tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llm_relay import errors

if TYPE_CHECKING:
    from tests.e2e.conftest import Running

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_snippet_runs_as_it_stands(running: Running) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = snippet.replace("http://127.0.0.1:8080", running.stack.base_url)
    run = subprocess.run(  # noqa: S603 - our own README
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.stderr == ""
    assert run.stdout == "it works\nit worksit works\nit works"


OURS = {
    getattr(kind, "code", None)
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RelayError)
} - {None, "internal_error"}
TOLD_BY_THE_GATEWAY = {
    "invalid_api_key",
    "unknown_route",
    "rate_limit_exceeded",
    "quota_exceeded",
    "request_too_large",
}


def test_every_error_of_ours_is_explained() -> None:
    assert [code for code in OURS | TOLD_BY_THE_GATEWAY if f"`{code}`" not in README] == []
    template = (ROOT / "template.yaml").read_text()
    assert [code for code in TOLD_BY_THE_GATEWAY if f'"code":"{code}"' not in template] == []


def test_the_parameters_it_names_are_the_template_s() -> None:
    template = (ROOT / "template.yaml").read_text()
    named = re.findall(r"`(\w+)`", README.split("Other parameters: ")[1].split("`sam deploy")[0])
    parameters = re.findall(r"^  (\w+):\n    Type: (?:String|Number)$", template, re.MULTILINE)
    assert set(named) | {"ProviderKeySecretArn"} == set(parameters)


def test_the_events_it_names_exist() -> None:
    for event in re.findall(r"events/[\w/]+\.json", README):
        assert (ROOT / event).is_file(), event


SUITES = {
    "openai-python 3.x, sync and async": "tests/e2e/test_openai_python_*.py",
    "openai-node 7.x": "tests/clients/openai*.test.mjs",
    "Vercel AI SDK 7.x": "tests/clients/ai-sdk.test.mjs",
    "LangChain `ChatOpenAI` 1.x": "tests/e2e/test_langchain.py",
}
FEATURES = {  # what a test must say to stand for a feature
    "whole": r"a whole answer is the text|'a completion'|'generateText'|invoke returns",
    "streamed": r"streamed answer is the text|completion comes in|'streamText'|stream returns",
    "stream helper": r"stream helper",
    "structured output": r"parsed|schema",
    "tool loop": r"loop of tools|from a tool to an answer|tool's output leads",
    "images": r"image is seen|take \$\{kind\}|vision by",
    "error classes": r"refusal|is an? \$\{kind|is an APICallError",
}


def test_what_works_with_which_client_is_what_the_suites_prove() -> None:
    rows = [["client", *FEATURES], ["---"] * (len(FEATURES) + 1)]
    for client, pattern in SUITES.items():
        suites = [path.read_text() for path in sorted(ROOT.glob(pattern))]
        titles = re.findall(r"def (test_\w+)|test\((['`].*?['`]), ", "".join(suites))
        told = "\n".join("".join(title).replace("_", " ") for title in titles)
        proven = ["yes" if re.search(words, told) else "–" for words in FEATURES.values()]
        rows.append([client, *proven])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in README, f"the README's table of clients should be:\n{table}"

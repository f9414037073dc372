"""What the documents say of the project is so."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.blocks import ROOT, blocks_of, pages
from tests.template import stack as template

TEMPLATE = template.translate(ROOT / "template.yaml")
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in pages()}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    below = TEXTS[page].split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in below.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def test_resources_retained_on_removal_are_those_that_deploy_names() -> None:
    documented = {cells[0].strip("`") for cells in rows("docs/how-to/deploy.md", "Remove it")}
    resources = TEMPLATE.translated["Resources"]
    kept = {name for name, r in resources.items() if r.get("DeletionPolicy") == "Retain"}
    assert kept == documented
    assert {
        name for name in documented if resources[name].get("UpdateReplacePolicy") != "Retain"
    } == set()


def test_a_deployment_needs_no_preparation_and_no_reserved_concurrency() -> None:
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert deploy["resolve_s3"]
    assert deploy["capabilities"] == "CAPABILITY_IAM"  # nothing in the template has a fixed name
    named = [r for r in TEMPLATE.of_type("AWS::IAM::Role").values() if "RoleName" in r]
    assert named == []
    assert [n for n, f in TEMPLATE.functions.items() if "ReservedConcurrentExecutions" in f] == []


PATHS = re.compile(r"\b((?:tests|layers|functions|events|local|cli|bench|docs)/[\w./-]+\.\w+)")


def test_every_named_file_exists() -> None:
    named = {path for text in TEXTS.values() for path in PATHS.findall(text)}
    assert len(named) > 20
    made = {path for path in named if "whoami" in path} | {"bench/results.json"}
    assert [path for path in named - made if not (ROOT / path).exists()] == []


def test_links_between_pages_resolve() -> None:
    broken = [
        (page, link)
        for page, text in TEXTS.items()
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        if not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert broken == []


def test_every_page_is_reachable_from_the_readme() -> None:
    found, left = set[str](), ["README.md"]
    while left:
        page = left.pop()
        if page in found:
            continue
        found.add(page)
        for link in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", TEXTS.get(page, "")):
            path = (ROOT / page).parent.joinpath(link).resolve()
            left.append(str(path.relative_to(ROOT)))
    assert set(TEXTS) - found == set()


def test_the_badges_of_the_readme_are_true() -> None:
    (runtime,) = {f["Runtime"].removeprefix("python") for f in TEMPLATE.functions.values()}
    assert f"/badge/Lambda-Python_{runtime}-" in TEXTS["README.md"]
    assert "/badge/license-MIT-" in TEXTS["README.md"]
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 166


def test_the_alarms_in_the_cost_estimate_are_those_of_the_template() -> None:
    (documented,) = re.findall(
        r"^ALARM_METRICS = (\d+)$", TEXTS["docs/operations/costs.md"], re.MULTILINE
    )
    alarms = TEMPLATE.of_type("AWS::CloudWatch::Alarm")
    watched = {
        name: sum("MetricStat" in each for each in alarm.get("Metrics", [{"MetricStat": alarm}]))
        for name, alarm in alarms.items()
        if TEMPLATE.translated["Resources"][name]["Condition"] == "RaisesAlarms"
    }
    assert int(documented) == sum(watched.values())


SUITES = {
    "openai-python 3.x, sync and async": "tests/e2e/openai_python/test_openai_python_*.py",
    "openai-node 7.x": "tests/clients/openai*.test.mjs",
    "Vercel AI SDK 7.x": "tests/clients/ai-sdk.test.mjs",
    "LangChain `ChatOpenAI` 1.x": "tests/e2e/test_langchain.py",
}
FEATURES = {  # what a test must say to stand for a feature
    "whole": r"a whole answer is the requested|'a completion'|'generateText'|invoke returns",
    "streamed": r"streamed answer is the requested|completion comes in|'streamText'|stream returns",
    "stream helper": r"stream helper",
    "structured output": r"parsed|schema",
    "tool loop": r"loop of tools|from a tool to an answer|tool's output leads",
    "images": r"image is sent to the model|take \$\{kind\}|vision by",
    "error classes": r"refusal|is an? \$\{kind|is an APICallError",
}


def test_client_compatibility_claims_match_the_suites() -> None:
    rows = [["client", *FEATURES], ["---"] * (len(FEATURES) + 1)]
    for client, pattern in SUITES.items():
        suites = [path.read_text() for path in sorted(ROOT.glob(pattern))]
        titles = re.findall(r"def (test_\w+)|test\((['`].*?['`]), ", "".join(suites))
        tested = "\n".join("".join(title).replace("_", " ") for title in titles)
        proven = ["yes" if re.search(words, tested) else "–" for words in FEATURES.values()]
        rows.append([client, *proven])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in TEXTS["docs/how-to/clients.md"], f"the table of clients should be:\n{table}"


@pytest.mark.parametrize("language", ["sh", "python", "js"])
def test_the_documents_have_tested_examples_in(language: str) -> None:
    blocks = [block for page in pages() for block in blocks_of(page) if block.prints is not None]
    assert any(block.language == language for block in blocks)

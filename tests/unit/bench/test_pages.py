"""The pages show the benchmark results, and nothing else."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from bench.report.plots import PLOTS, draw
from bench.report.results import TARGETS, Measurement, write
from bench.report.table import HEADLINES, PAGES, Page, last_results

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = {
    "cpu": "Some CPU",
    "cores": 2,
    "system": "Linux 6",
    "python_of_the_functions": "Python 3.13.0",
    "python_of_the_bench": "3.11.2",
}
TEXT = "# Title\n\n<!-- bench -->\nstale\n<!-- /bench -->\n\nThe rest.\n"


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """The results of a run in which one target is missed, as `make bench` writes them."""
    figures = {
        name: Measurement(value=51234.5, spread=(0.25, 60000), peers=peers(name))
        if name == "stream_chunks_per_s"
        else Measurement(value=0.5, spread=(0.25, 0.75), peers=peers(name))
        for name in TARGETS
    }
    path = tmp_path / "results.json"
    write(path, figures, {"machine": MACHINE}, quick=False)
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def peers(figure: str) -> dict[str, float]:
    """What the plots need of a figure."""
    bars = [bar for plot in PLOTS.values() for bar in plot.bars if bar.figure == figure]
    return {bar.peer: 4.0 for bar in bars} | {bar.minus: 1.0 for bar in bars if bar.minus}


def page(tmp_path: Path, text: str = TEXT, *, in_full: bool = True) -> Page:
    path = tmp_path / "page.md"
    path.write_text(text)
    return Page(path=path, plots="plots", in_full=in_full)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_a_page_shows_the_last_results(page: Page) -> None:
    assert page.path.read_text() == page.filled(last_results()), (
        "make it so with: .venv/bin/python -m bench --write-readme"
    )


def test_every_figure_is_reported_with_its_target_and_whether_it_is_met(
    tmp_path: Path, results: dict[str, Any]
) -> None:
    text = page(tmp_path).filled(results)
    assert "| chunks/s in a burst | 51,230 | >= 50,000 | yes | 0.25 to 60,000 |" in text
    assert "| rows/s of one worker, answers of 1 s | 0.5 | >= 110 | **no** |" in text
    assert "| memory of plan and assemble, largest batch, MB | 0.5 | none | – |" in text
    for target in TARGETS.values():
        assert f"| {target.says} |" in text
    assert "Some CPU, 2 cores, Linux 6; the functions on Python 3.13.0." in text
    assert "`make bench`" in text
    assert "`guide_ms` 4" in text


def test_only_what_is_between_the_markers_changes(tmp_path: Path, results: dict[str, Any]) -> None:
    text = page(tmp_path).filled(results)
    assert text.startswith("# Title\n\n<!-- bench -->\n| figure |")
    assert text.endswith("\n<!-- /bench -->\n\nThe rest.\n")
    assert "stale" not in text
    assert page(tmp_path, text).filled(results) == text


def test_without_results_nothing_is_reported(tmp_path: Path) -> None:
    assert "stale" not in page(tmp_path).filled(None)


def test_a_quick_run_changes_no_page(tmp_path: Path, results: dict[str, Any]) -> None:
    assert page(tmp_path).filled(results | {"quick": True}) == TEXT


def test_a_page_without_a_place_for_results_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"page\.md"):
        page(tmp_path, "# Title\n").filled(None)


def test_the_short_page_has_the_results_without_the_comparisons(
    tmp_path: Path, results: dict[str, Any]
) -> None:
    text = page(tmp_path, in_full=False).filled(results)
    assert "| time to first byte, added by the relay, ms | 0.5 | <= 2 | yes |\n" in text
    assert text.count("\n| ") == 2 + len(HEADLINES)
    assert "guide_ms" not in text
    assert text.count(".svg)") == sum(plot.in_readme for plot in PLOTS.values())


def test_plots_have_labels_numbers_and_alternative_text(
    tmp_path: Path, results: dict[str, Any]
) -> None:
    draw(tmp_path / "plots", results["figures"])
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == {*PLOTS}
    root = ET.fromstring((tmp_path / "plots" / "added_latency.svg").read_text())  # noqa: S314
    title, *texts = (element.text or "" for element in root.iter() if element.text)
    assert title == ("Added to a whole answer, ms (less is better): llm-relay 3, LiteLLM proxy 3")
    assert texts[-4:] == ["llm-relay", "3", "LiteLLM proxy", "3"]


def test_a_plot_with_missing_results_is_not_drawn(tmp_path: Path, results: dict[str, Any]) -> None:
    del results["figures"]["cold_vs_litellm"]
    del results["figures"]["batch_sizing"]["peers"]["64_rows_per_s"]
    draw(tmp_path / "plots", results["figures"])
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {*PLOTS} - {"cold_start", "batch_rows"}
    assert "cold_start.svg" not in page(tmp_path).filled(results)

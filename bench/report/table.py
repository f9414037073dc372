"""Writes the results into the README and docs/operations/performance.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report.plots import PLOTS, draw, is_complete
from bench.report.results import TARGETS

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results.json"
DRAWN = ROOT / "docs" / "plots"

HEADLINES = ("cold_vs_openai_sdk", "stream_first_byte_added_ms", "batch_gbs_per_1000_vs_single")
MANY_PEERS = 8  # more are not listed in a cell; the page has a table of its own for them
BLOCK = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)
NO_DECIMALS_FROM = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page with results between markers; `plots` is the path of the plots from there."""

    path: Path
    plots: str
    in_full: bool

    def filled(self, results: dict[str, Any] | None) -> str:
        """Return the page with full results, not quick ones; LookupError without the markers."""
        text = self.path.read_text()
        if not BLOCK.search(text):
            raise LookupError(f"{self.path.name} has no <!-- bench --> and <!-- /bench -->")
        if results and results["quick"]:
            return text
        table = "\n".join(block(results, self)) + "\n" if results else ""
        return BLOCK.sub(lambda _: table, text)


PAGES = (
    Page(path=ROOT / "README.md", plots="docs/plots", in_full=False),
    Page(path=ROOT / "docs" / "operations" / "performance.md", plots="../plots", in_full=True),
)


def last_results() -> dict[str, Any] | None:
    """Return the results of the last run, if there was one."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else None


def publish() -> None:
    """Write the results into the pages, and the plots."""
    results = last_results()
    if results and not results["quick"]:
        draw(DRAWN, results["figures"])
    for page in PAGES:
        page.path.write_text(page.filled(results))


def block(results: dict[str, Any], page: Page) -> Iterator[str]:
    """Yield the lines of a page: a table, how it was measured, and the plots."""
    figures = results["figures"]
    heads = [
        "figure",
        "value",
        "target",
        "met",
        *(["spread", "compared with"] if page.in_full else []),
    ]
    yield from (line(heads), line(["---", "--:", "--:", *["---"] * (len(heads) - 3)]))
    for name, figure in figures.items():
        if name not in HEADLINES and not page.in_full:
            continue
        yield line([TARGETS[name].says, *cells(figure)][: len(heads)])
    yield from ("", measured(results["machine"]), "")
    for name, plot in PLOTS.items():
        if is_complete(plot, figures) and (page.in_full or plot.in_readme):
            yield f"![{plot.title}]({page.plots}/{name}.svg)"


def line(row: list[str]) -> str:
    """Return a line of a table in Markdown."""
    return f"| {' | '.join(row)} |"


def cells(figure: dict[str, Any]) -> Iterator[str]:
    """Yield the cells of a figure's row."""
    yield number(figure["value"])
    yield figure["target"]
    yield "–" if figure["target"] == "none" else "yes" if figure["met"] else "**no**"
    yield " to ".join(map(number, figure["spread"]))
    peers = figure["peers"] if len(figure["peers"]) <= MANY_PEERS else {}
    yield ", ".join(f"`{peer}` {number(value)}" for peer, value in peers.items())


def measured(machine: dict[str, Any]) -> str:
    """Return how the figures were measured."""
    return (
        f"Measured by `make bench` on {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}; the functions on {machine['python_of_the_functions']}. "
        "A value is the median; the spread is the minimum and the maximum. Compared programs were "
        "measured alternately in the same run."
    )


def number(value: float) -> str:
    """Return a number with digits for readers."""
    return f"{value:,.0f}" if abs(value) >= NO_DECIMALS_FROM else f"{value:g}"

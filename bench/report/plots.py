"""Bars as SVG, drawn from the results; they are read on light and dark pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, LABELS, BAR, GAP, TOP, EDGE = 680, 170, 22, 10, 52, 20
ROOM = WIDTH - LABELS - 110  # for the longest bar; its number stands behind it
OURS, THEIRS = "#2f9e6e", "#8a94a6"
# A background, as the page's colour may differ from the system's.
STYLE = (
    ".card{fill:#fff;stroke:#d0d7de}text{fill:#1f2328}"
    "@media(prefers-color-scheme:dark){.card{fill:#15191e;stroke:#30363d}text{fill:#e6edf3}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value that one of the results holds, minus another of its values if one is named."""

    label: str
    peer: str
    figure: str
    minus: str = ""
    is_ours: bool = False

    def value(self, figures: Mapping[str, Any]) -> float:
        """Return the length of the bar."""
        return self._read(figures, self.peer) - (
            self._read(figures, self.minus) if self.minus else 0.0
        )

    def is_in(self, figures: Mapping[str, Any]) -> bool:
        """Tell whether the results hold what it needs."""
        needed = {self.peer, self.minus} - {"value", ""}
        return self.figure in figures and needed <= set(figures[self.figure]["peers"])

    def _read(self, figures: Mapping[str, Any], peer: str) -> float:
        figure = figures[self.figure]
        return float(figure["value"] if peer == "value" else figure["peers"][peer])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A comparison of a few values."""

    title: str
    bars: tuple[Bar, ...]
    in_readme: bool = False  # in the README


def _ours(figure: str, peer: str, label: str = "llm-relay", minus: str = "") -> Bar:
    return Bar(label=label, figure=figure, peer=peer, minus=minus, is_ours=True)


def _theirs(figure: str, peer: str, label: str = "LiteLLM proxy", minus: str = "") -> Bar:
    return Bar(label=label, figure=figure, peer=peer, minus=minus)


_ADDED, _FIRST = "warm_added_ms_vs_litellm_proxy", "stream_first_byte_added_ms"
_CHUNK, _BILLED = "stream_cpu_us_per_chunk_vs_litellm_proxy", "batch_gbs_per_1000_vs_single"
PLOTS = {
    "cold_start": Plot(
        title="Start of a function to its first answer, ms (less is better)",
        bars=(
            _ours("cold_vs_guide", "relay_ms"),
            _theirs("cold_vs_guide", "guide_ms", "requests.post"),
            _theirs("cold_vs_openai_sdk", "openai_ms", "openai SDK"),
            _theirs("cold_vs_litellm", "litellm_ms", "litellm SDK"),
        ),
        in_readme=True,
    ),
    "added_latency": Plot(
        title="Added to a whole answer, ms (less is better)",
        bars=(
            _ours(_ADDED, "relay_ms", minus="direct_ms"),
            _theirs(_ADDED, "litellm_proxy_ms", minus="direct_ms"),
        ),
    ),
    "first_byte": Plot(
        title="Added before a stream's first byte, ms (less is better)",
        bars=(
            _ours(_FIRST, "value"),
            _theirs(_FIRST, "openai_sdk", "openai SDK"),
            _theirs(_FIRST, "litellm_proxy"),
        ),
    ),
    "cpu_per_chunk": Plot(
        title="CPU per streamed chunk, microseconds (less is better)",
        bars=(_ours(_CHUNK, "relay_us"), _theirs(_CHUNK, "litellm_proxy_us")),
    ),
    "batch_billed": Plot(
        title="Billed for 1,000 answers of 1 s, GB-seconds (less is better)",
        bars=(
            _ours(_BILLED, "ours", "batch of llm-relay"),
            _theirs(_BILLED, "single", "one call each"),
        ),
    ),
    "batch_rows": Plot(
        title="Rows per second of one worker, answers of 1 s (more is better)",
        bars=tuple(
            _ours("batch_sizing", f"{at_once}_rows_per_s", f"{at_once} at once")
            for at_once in (32, 64, 128, 256)
        ),
    ),
}


def draw(folder: Path, figures: Mapping[str, Any]) -> None:
    """Write a plot for each comparison with complete results."""
    folder.mkdir(exist_ok=True)
    for name, plot in PLOTS.items():
        if is_complete(plot, figures):
            (folder / f"{name}.svg").write_text(svg(plot, figures))


def is_complete(plot: Plot, figures: Mapping[str, Any]) -> bool:
    """Tell whether the results hold all that a plot needs."""
    return all(bar.is_in(figures) for bar in plot.bars)


def svg(plot: Plot, figures: Mapping[str, Any]) -> str:
    """Return horizontal bars with their values."""
    values = [bar.value(figures) for bar in plot.bars]
    height = TOP + len(values) * (BAR + GAP) + EDGE - GAP
    longest = max(values) or 1.0
    rows = "".join(
        _bar(TOP + index * (BAR + GAP), bar, value, longest)
        for index, (bar, value) in enumerate(zip(plot.bars, values, strict=True))
    )
    summary = ", ".join(
        f"{bar.label} {_number(value)}" for bar, value in zip(plot.bars, values, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="14">'
        f"<title>{escape(plot.title)}: {escape(summary)}</title><style>{STYLE}</style>"
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
        f'<text x="{EDGE}" y="32" font-weight="600">{escape(plot.title)}</text>{rows}</svg>\n'
    )


def _bar(y: int, bar: Bar, value: float, longest: float) -> str:
    length = max(2.0, ROOM * max(value, 0.0) / longest)
    text = y + BAR - 6
    return (
        f'<text x="{LABELS - 10}" y="{text}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect x="{LABELS}" y="{y}" width="{length:.0f}" height="{BAR}" rx="3" '
        f'fill="{OURS if bar.is_ours else THEIRS}"/>'
        f'<text x="{LABELS + length + 8:.0f}" y="{text}">{_number(value)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits

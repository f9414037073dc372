"""Bars as SVG, drawn from the results; they are read on light and dark pages alike."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.figures import Figure

WIDTH, LABELS, BAR, GAP, TOP = 640, 150, 22, 10, 40
ROOM = WIDTH - LABELS - 90  # for the longest bar; its number stands behind it
OURS, THEIRS, INK = "#2f9e6e", "#8a94a6", "#7d8590"

# File name: title, and the bars as (label, figure, name of the peer; none for the figure itself).
PLOTS = {
    "cold_start": (
        "Start to first answer, ms (less is better)",
        (
            ("llm-relay", "cold_vs_guide", "relay_ms"),
            ("requests.post", "cold_vs_guide", "guide_ms"),
            ("openai SDK", "cold_vs_openai_sdk", "openai_ms"),
            ("litellm SDK", "cold_vs_litellm", "litellm_ms"),
        ),
    ),
    "first_byte": (
        "Added before a stream's first byte, ms (less is better)",
        (
            ("llm-relay", "stream_first_byte_added_ms", ""),
            ("openai SDK", "stream_first_byte_added_ms", "openai_sdk"),
            ("LiteLLM proxy", "stream_first_byte_added_ms", "litellm_proxy"),
        ),
    ),
    "cpu_per_chunk": (
        "CPU per streamed chunk, microseconds (less is better)",
        (
            ("llm-relay", "stream_cpu_us_per_chunk_vs_litellm_proxy", "relay_us"),
            ("LiteLLM proxy", "stream_cpu_us_per_chunk_vs_litellm_proxy", "litellm_proxy_us"),
        ),
    ),
}


def draw(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Write a plot for each comparison whose figures are all there."""
    folder.mkdir(exist_ok=True)
    for name, (title, bars) in PLOTS.items():
        if all(figure in figures for _, figure, _ in bars):
            values = [(label, _value(figures[figure], peer)) for label, figure, peer in bars]
            (folder / f"{name}.svg").write_text(svg(title, values))


def svg(title: str, values: list[tuple[str, float]]) -> str:
    """Return horizontal bars, the first of which is ours."""
    height = TOP + len(values) * (BAR + GAP)
    longest = max(value for _, value in values) or 1.0
    rows = "".join(_bar(index, *value, longest) for index, value in enumerate(values))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="14" fill="{INK}">'
        f'<title>{escape(title)}</title><text x="0" y="20">{escape(title)}</text>{rows}</svg>\n'
    )


def _bar(index: int, label: str, value: float, longest: float) -> str:
    y = TOP + index * (BAR + GAP)
    length = max(2.0, ROOM * max(value, 0.0) / longest)
    text = y + BAR - 6
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
    return (
        f'<text x="{LABELS - 8}" y="{text}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{LABELS}" y="{y}" width="{length:.0f}" height="{BAR}" rx="3" '
        f'fill="{THEIRS if index else OURS}"/>'
        f'<text x="{LABELS + length + 8:.0f}" y="{text}">{number}</text>'
    )


def _value(figure: Figure, peer: str) -> float:
    return figure.peers[peer] if peer else figure.value

"""The measurements, their targets, and the results file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of a measurement: an upper limit, a lower limit, or none."""

    says: str
    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float) -> bool:
        """Tell whether a value meets the target."""
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is None or value >= self.at_least

    def __str__(self) -> str:
        """Return the target for readers."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "none" if self.at_least is None else f">= {self.at_least:,.0f}"


TARGETS = {
    "cold_vs_guide": Target(says="start to first answer / the guide's handler", at_most=1.0),
    "cold_vs_openai_sdk": Target(
        says="start to first answer / a handler on the openai SDK", at_most=0.2
    ),
    "cold_vs_litellm": Target(
        says="start to first answer / a handler on the litellm SDK", at_most=0.04
    ),
    "warm_cpu_vs_direct": Target(says="CPU per call / a reused requests.Session", at_most=1.4),
    "warm_added_ms_vs_litellm_proxy": Target(
        says="added latency / that of the LiteLLM proxy", at_most=0.15
    ),
    "stream_first_byte_added_ms": Target(
        says="time to first byte, added by the relay, ms", at_most=2.0
    ),
    "stream_chunks_per_s": Target(says="chunks/s in a burst", at_least=50_000),
    "stream_completed_chunks_per_s": Target(
        says="chunks/s of a stream that needs fixes", at_least=15_000
    ),
    "stream_cpu_us_per_chunk_vs_litellm_proxy": Target(
        says="CPU per chunk / that of the LiteLLM proxy", at_most=0.03
    ),
    "rss_mb": Target(says="memory after 1,000 calls, MB", at_most=64),
    "rss_growth_mb": Target(says="growth from call 100 to 1,000, MB", at_most=1),
    "package_mb": Target(says="layers unpacked, MB", at_most=25),
    "batch_rows_per_s": Target(says="rows/s of one worker, answers of 1 s", at_least=110),
    "batch_cpu_ms_per_row": Target(says="CPU of one worker per row, ms", at_most=2.0),
    "batch_gbs_per_1000_vs_single": Target(
        says="GB-seconds, one row per invocation / batch worker", at_least=100
    ),
    "batch_scaling": Target(says="seconds per row, largest batch / 1,000 rows", at_most=1.1),
    "batch_memory_mb": Target(says="memory of plan and assemble, largest batch, MB"),
    "batch_sizing": Target(says="rows/s of one worker at 128 at once"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measurement; its peers are in its own unit or in that which `says` names."""

    value: float
    spread: tuple[float, float]  # lowest and highest of what the value is the median of
    peers: Mapping[str, float] = field(default_factory=dict)
    below_peers: bool = False  # also has to be below each of them

    def is_met(self, target: Target) -> bool:
        """Tell whether the measurement meets its target."""
        below = not self.below_peers or all(self.value < peer for peer in self.peers.values())
        return target.is_met(self.value) and below


def summarize(
    values: Sequence[float], peers: Mapping[str, float] | None = None, *, below_peers: bool = False
) -> Measurement:
    """Return the median of some values, with their spread."""
    return Measurement(
        value=median(values),
        spread=(min(values), max(values)),
        peers=peers or {},
        below_peers=below_peers,
    )


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios of values that were measured in the same turn."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def missed(measurements: Mapping[str, Measurement]) -> list[str]:
    """Return the names of the measurements that miss their target."""
    return [
        name for name, measurement in measurements.items() if not measurement.is_met(TARGETS[name])
    ]


def write(
    path: Path, measurements: Mapping[str, Measurement], about: Mapping[str, Any], *, quick: bool
) -> None:
    """Write the results, for the README and for comparisons."""
    rows = {
        name: {
            "value": _short(measurement.value),
            "target": str(TARGETS[name]),
            "met": measurement.is_met(TARGETS[name]),
            "peers": {peer: _short(value) for peer, value in measurement.peers.items()},
            "spread": [_short(value) for value in measurement.spread],
        }
        for name, measurement in measurements.items()
    }
    document = {"quick": quick, **about, "figures": rows}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _short(value: float) -> float:
    return float(f"{value:.4g}")

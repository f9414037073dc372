"""Reads metrics in CloudWatch's Embedded Metric Format from a log."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Values of one metric in one line."""

    seconds: float  # since the epoch
    name: str
    unit: str
    dimensions: Mapping[str, str]
    values: tuple[float, ...]


class Log:
    """A log that grows while it is read."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def read_new(self) -> Iterator[Measurement]:
        """Yield the measurements since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            for line in iter(partial(log.readline, MAX_LINE_BYTES), b""):
                if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                    return  # still being written
                self._read += len(line)
                if b'"_aws"' in line:
                    yield from measurements(line.decode(errors="replace"))


def measurements(line: str) -> Iterator[Measurement]:
    """Yield the measurements of a log line."""
    for document in json_objects(line):
        try:
            yield from measurements_in(document)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # CloudWatch ignores malformed documents too


def json_objects(line: str) -> Iterator[Any]:
    """Yield the JSON objects of a line: several if processes wrote concurrently."""
    decoder, start = json.JSONDecoder(), 0
    while (start := line.find("{", start)) >= 0:
        try:
            document, start = decoder.raw_decode(line, start)
        except ValueError:
            return
        yield document


def measurements_in(document: Mapping[str, Any]) -> Iterator[Measurement]:
    """Yield a document's measurements, each once for all sets of dimensions."""
    about = document.get("_aws", {})
    for directive in about.get("CloudWatchMetrics", []):
        keys = {key for keys in directive["Dimensions"] for key in keys}
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            yield Measurement(
                seconds=about["Timestamp"] / 1000,
                name=metric["Name"],
                unit=metric.get("Unit", "None"),
                dimensions={key: str(document[key]) for key in sorted(keys)},
                values=tuple(map(float, value if isinstance(value, list) else [value])),
            )

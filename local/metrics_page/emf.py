"""What the functions print for CloudWatch: metrics in lines of its Embedded Metric Format."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

LONGEST_LINE = 1024 * 1024
MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Values of one metric, as one line tells them."""

    seconds: float  # since the epoch
    name: str
    unit: str
    dimensions: Mapping[str, str]
    values: tuple[float, ...]


class Log:
    """A log that functions write to while it is read."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def news(self) -> Iterator[Measurement]:
        """What was measured since the last time."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            for line in iter(partial(log.readline, LONGEST_LINE), b""):
                if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                    return  # it is still being written
                self._read += len(line)
                if b'"_aws"' in line:
                    yield from measurements(line.decode(errors="replace"))


def measurements(line: str) -> Iterator[Measurement]:
    """What a line of a log tells, which may be nothing."""
    for document in documents(line):
        try:
            yield from read(document)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # CloudWatch leaves alone what is not in its format, too


def documents(line: str) -> Iterator[Any]:
    """The JSON objects of a line: more than one if processes wrote at the same time."""
    decoder, start = json.JSONDecoder(), 0
    while (start := line.find("{", start)) >= 0:
        try:
            document, start = decoder.raw_decode(line, start)
        except ValueError:
            return
        yield document


def read(document: Mapping[str, Any]) -> Iterator[Measurement]:
    """The measurements of a document; each counts once, however many sets of dimensions it has."""
    about = document.get("_aws", {})
    for directive in about.get("CloudWatchMetrics", []):
        keys = {key for keys in directive["Dimensions"] for key in keys}
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            yield Measurement(
                seconds=about["Timestamp"] / MILLISECONDS,
                name=metric["Name"],
                unit=metric.get("Unit", "None"),
                dimensions={key: str(document[key]) for key in sorted(keys)},
                values=tuple(map(float, value if isinstance(value, list) else [value])),
            )

"""The manifest of a batch: which bytes of the file are which rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llm_relay.core.json_codec import compact


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The rows of one worker: bytes `start` to `end` (not included) of the file."""

    number: int
    start: int
    end: int
    first_row: int  # counted from 0 over the whole file, without blank lines
    rows: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Chunk:
        """Return the chunk in an entry of the manifest, or in a worker's input."""
        return cls(**{name: int(document[name]) for name in cls.__slots__})


def format_manifest(chunks: Iterable[Chunk]) -> bytes:
    """Return the manifest as a JSON list, the format of Step Functions' ItemReader."""
    return compact([asdict(chunk) for chunk in chunks])


def parse_manifest(text: bytes) -> list[Chunk]:
    """Return the chunks of a manifest."""
    return [Chunk.from_document(each) for each in json.loads(text)]

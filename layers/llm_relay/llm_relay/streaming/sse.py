"""Server-sent events: cut into frames, never re-encoded.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llm_relay.core.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

# A comment; the official SDKs choke on `id:`, `retry:` and an empty `data:`.
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"

MAX_FRAME_BYTES = 32 * 1024 * 1024

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_BLANK_LINE = re.compile(rb"\n\r?\n|\n\r|\r\n?\r\n?")
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Lawful lines at which the official SDKs raise: id, retry, empty data, an event without data.
_HARMFUL = rb"(?:id|retry|data: ?[\r\n]|event:[^\r\n]*(?:\n\r?\n|\n\r|\r\n?\r))"
_HARMFUL_LINE = re.compile(rb"[\r\n]" + _HARMFUL)
_HARMFUL_USUAL_LINE = re.compile(rb"\n" + _HARMFUL)  # ten times as fast: it leaps to each \n


class FrameBuffer:
    """Hands on whole frames and keeps the unfinished rest.

    A broken provider then never leaves half a frame with the caller, and a comment or an error
    event always fits in between.
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # grows in place: an event of megabytes comes in many chunks

    def feed(self, chunk: bytes) -> bytes:
        """Return all frames that are whole by now, byte for byte."""
        if not self._rest and chunk.endswith(b"\n\n"):
            return chunk  # as most are
        # A blank line may straddle the old rest and the new chunk by up to three bytes.
        start = max(0, len(self._rest) - 3)
        self._rest += chunk
        if len(self._rest) > MAX_FRAME_BYTES:
            raise UpstreamFailed("The provider sent an event that does not end.")
        end = _end_of_frames(self._rest, start)
        frames = bytes(memoryview(self._rest)[:end])
        del self._rest[:end]
        return frames

    def flush(self) -> bytes:
        """Return the rest if it is a whole event; SDKs lose a last one without a blank line."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest + b"\n\n" if any(looks_complete(data) for data in payloads(rest)) else b""


def _end_of_frames(data: bytearray, start: int) -> int:
    """Return where the last blank line ends, 0 if there is none from `start` on."""
    if data.find(b"\r", start) < 0:
        found = data.rfind(b"\n\n", start)
        return 0 if found < 0 else found + 2
    end = 0
    for match in _BLANK_LINE.finditer(data, start):
        end = match.end()
    return end


def without_harmful_lines(frames: bytes) -> bytes:
    """Return the frames, byte for byte unless they hold what the official SDKs choke on."""
    line = _HARMFUL_LINE if b"\r" in frames else _HARMFUL_USUAL_LINE
    if not line.search(b"\n" + frames):
        return frames
    kept = (_harmless_lines(frame) for frame in _BLANK_LINE.split(frames))
    return b"".join(b"\n".join(lines) + b"\n\n" for lines in kept if lines)


def _harmless_lines(frame: bytes) -> list[bytes]:
    lines = [line for line in _LINE_END.split(frame) if not line.startswith((b"id", b"retry"))]
    comments = [line for line in lines if line.startswith(b":")]
    has_data = any(line.startswith(b"data:") and line[5:].strip() for line in lines)
    return lines if has_data else comments


def split_frames(frames: bytes) -> list[bytes]:
    """Return each frame, with its blank line."""
    if b"\r" not in frames:
        *whole, rest = frames.split(b"\n\n")
        cut = [frame + b"\n\n" for frame in whole]
        return [*cut, rest] if rest else cut
    ends = [match.end() for match in _BLANK_LINE.finditer(frames)]
    edges = [0, *ends] if ends[-1:] == [len(frames)] else [0, *ends, len(frames)]
    return [frames[start:end] for start, end in pairwise(edges)]


def payloads(frames: bytes) -> Iterator[bytes]:
    """Yield the data of each frame that has any."""
    return filter(None, map(payload_of, split_frames(frames)))


def payload_of(frame: bytes) -> bytes:
    """Return the data of a frame, b"" if it has none."""
    line = frame.rstrip(b"\r\n")
    if line.startswith(b"data: ") and b"\n" not in line and b"\r" not in line:
        return line[6:]
    lines = (line for line in _LINE_END.split(line) if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)


def looks_complete(payload: bytes) -> bool:
    """Tell an event's data from a part of it, at a glance."""
    return payload.startswith(b"[DONE]") or (payload[:1] == b"{" and payload.rstrip()[-1:] == b"}")


def encode_event(document: dict[str, Any], name: str | None = None) -> bytes:
    """Return one frame."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {_ENCODER.encode(document)}\n\n".encode()

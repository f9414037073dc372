"""Splits server-sent events into frames without re-encoding them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from llm_relay.core.errors import UpstreamFailed
from llm_relay.core.json_codec import compact

# A comment: the official SDKs raise at `id:`, `retry:` and an empty `data:`.
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
MAX_FRAME_BYTES = 32 * 1024 * 1024

_BLANK_LINE = re.compile(rb"\n\r?\n|\n\r|\r\n?\r\n?")
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Valid lines at which the official SDKs raise: id, retry, empty data, an event without data.
_HARMFUL = rb"(?:id|retry|data: ?[\r\n]|event:[^\r\n]*(?:\n\r?\n|\n\r|\r\n?\r))"
_HARMFUL_LINE = re.compile(rb"[\r\n]" + _HARMFUL)
_HARMFUL_LINE_AFTER_LF = re.compile(rb"\n" + _HARMFUL)  # ten times as fast


class FrameBuffer:
    """Returns complete frames and keeps the rest, so that comments and errors fit in between."""

    def __init__(self) -> None:
        self._rest = bytearray()  # grows in place: a large event arrives in many chunks

    def feed(self, chunk: bytes) -> bytes:
        """Return all frames that are complete by now, byte for byte."""
        if not self._rest and chunk.endswith(b"\n\n"):
            return chunk  # the usual case
        # Up to three bytes of a blank line may be in the old rest.
        start = max(0, len(self._rest) - 3)
        self._rest += chunk
        if len(self._rest) > MAX_FRAME_BYTES:
            raise UpstreamFailed("The provider sent an event that does not end.")
        end = _end_of_frames(self._rest, start)
        frames = bytes(memoryview(self._rest)[:end])
        del self._rest[:end]
        return frames

    def flush(self) -> bytes:
        """Return the rest if it is a complete event, with the blank line that SDKs need."""
        rest = bytes(self._rest)
        self._rest.clear()
        payload = payload_of(rest).rstrip()
        is_json = payload.startswith(b"{") and payload.endswith(b"}")
        return rest + b"\n\n" if is_json or payload.startswith(b"[DONE]") else b""


def _end_of_frames(data: bytearray, start: int) -> int:
    """Return the end of the last blank line from `start` on, 0 without one."""
    if data.find(b"\r", start) < 0:
        found = data.rfind(b"\n\n", start)
        return 0 if found < 0 else found + 2
    end = 0
    for match in _BLANK_LINE.finditer(data, start):
        end = match.end()
    return end


def without_harmful_lines(frames: bytes) -> bytes:
    """Return the frames, byte for byte unless they have lines at which the SDKs raise."""
    pattern = _HARMFUL_LINE if b"\r" in frames else _HARMFUL_LINE_AFTER_LF
    if not pattern.search(b"\n" + frames):
        return frames
    remaining = (_harmless_lines(frame) for frame in _BLANK_LINE.split(frames))
    return b"".join(b"\n".join(lines) + b"\n\n" for lines in remaining if lines)


def _harmless_lines(frame: bytes) -> list[bytes]:
    lines = [line for line in _LINE_END.split(frame) if not line.startswith((b"id", b"retry"))]
    comments = [line for line in lines if line.startswith(b":")]
    has_data = any(line.startswith(b"data:") and line[5:].strip() for line in lines)
    return lines if has_data else comments


def split_frames(frames: bytes) -> list[bytes]:
    """Return each frame, with its blank line."""
    if b"\r" not in frames:
        *complete, rest = frames.split(b"\n\n")
        return [frame + b"\n\n" for frame in complete] + ([rest] if rest else [])
    ends = [match.end() for match in _BLANK_LINE.finditer(frames)]
    edges = pairwise([0, *ends, len(frames)])
    return [frames[start:end] for start, end in edges if start < end]


def payload_of(frame: bytes) -> bytes:
    """Return the data of a frame, b"" if it has none."""
    # `find`: `in` first tries bytes as a number, which takes ten times as long.
    is_simple = frame.find(b"\r") < 0
    if is_simple and frame.startswith(b"data: ") and frame.find(b"\n") == len(frame) - 2:
        return frame[6:-2]  # the usual case
    lines = frame.split(b"\n") if is_simple else _LINE_END.split(frame)
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(data)


def encode_event(document: dict[str, Any], name: str | None = None) -> bytes:
    """Return one frame with an event."""
    head = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (head, compact(document))

"""The data of server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.streaming.sse import payload_of, split_frames

if TYPE_CHECKING:
    from collections.abc import Iterator


def payloads(frames: bytes) -> Iterator[bytes]:
    """Yield the data of each frame that has any."""
    return filter(None, map(payload_of, split_frames(frames)))

"""Reads objects of a bucket in order, several ahead of the reader."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from llm_relay.aws.s3 import Bucket

    Part = tuple[str, bytes]  # a key and its object

_THREADS = 16
_MAX_AHEAD = 32
_MAX_AHEAD_BYTES = 64 * 1024 * 1024
_FIRST_GUESS_BYTES = 8 * 1024 * 1024  # the size of an object before any is known


def prefetch(bucket: Bucket, keys: Iterable[str]) -> Iterator[Part]:
    """Yield keys with their objects; the larger the objects, the fewer are held in memory."""
    ahead: deque[tuple[str, Future[bytes]]] = deque()
    size = _FIRST_GUESS_BYTES
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for key in keys:
            ahead.append((key, pool.submit(bucket.get, key)))
            while len(ahead) > min(_MAX_AHEAD, _MAX_AHEAD_BYTES // size):
                first, content = ahead.popleft()
                size = max(len(content.result()), size // 2, 1)
                yield first, content.result()
        while ahead:
            key, last = ahead.popleft()
            yield key, last.result()
    finally:
        pool.shutdown(cancel_futures=True)

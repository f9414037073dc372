"""Objects in order, fetched ahead of whoever reads them."""

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
_MOST_AHEAD = 32
_BYTES_AHEAD = 64 * 1024 * 1024
_GUESS_BYTES = 8 * 1024 * 1024  # of the first, before any is known


def prefetch(bucket: Bucket, keys: Iterable[str]) -> Iterator[Part]:
    """Yield keys with their objects; how many are held ahead depends on how large they are."""
    ahead: deque[tuple[str, Future[bytes]]] = deque()
    size = _GUESS_BYTES
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for key in keys:
            ahead.append((key, pool.submit(bucket.get, key)))
            while len(ahead) > min(_MOST_AHEAD, _BYTES_AHEAD // size):
                first, content = _next(ahead)
                size = max(len(content), size // 2, 1)
                yield first, content
        while ahead:
            yield _next(ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _next(ahead: deque[tuple[str, Future[bytes]]]) -> Part:
    key, future = ahead.popleft()
    return key, future.result()

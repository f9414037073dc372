"""One invocation, as seen by the caller and by the function's process."""

import asyncio
import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

PAYLOAD_LIMIT_BYTES = 6_291_556  # Lambda's payload limit
CHUNKS_IN_FLIGHT = 16  # backpressure: the function waits for slow readers


class FunctionFailedError(Exception):
    """The function failed; `kind` and `message` are Lambda's error type and message."""

    def __init__(self, kind: str, message: str, payload: bytes | None = None) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message
        self.payload = payload or json.dumps({"errorType": kind, "errorMessage": message}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of an answer."""

    streaming: bool
    content_type: str


@dataclass(slots=True, kw_only=True, eq=False)
class Invocation:
    """An event for a function, and the function's answer."""

    event: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline_seconds: float = 0.0  # since the epoch; known once an environment takes it
    _answer: asyncio.Future[Answer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _chunks: asyncio.Queue[bytes | FunctionFailedError | None] = field(
        default_factory=asyncio.Queue
    )
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHUNKS_IN_FLIGHT))
    _over: bool = False
    consumed: bool = False

    async def answer(self) -> Answer:
        """Wait for the head of the answer; FunctionFailedError if the function fails first."""
        return await asyncio.shield(self._answer)

    def __aiter__(self) -> "Invocation":
        """Iterate over the chunks of the body as they arrive."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk of the body; FunctionFailedError if the function failed."""
        chunk = None if self.consumed else await self._chunks.get()
        if isinstance(chunk, bytes):
            self._room.release()
            return chunk
        self.consumed = True
        raise chunk or StopAsyncIteration

    async def read(self) -> bytes:
        """Return the complete body; FunctionFailedError if the function failed."""
        await self.answer()
        return b"".join([chunk async for chunk in self])

    async def drain(self) -> None:
        """Discard the answer, so that the function can finish."""
        with suppress(FunctionFailedError):
            await self.answer()
            async for _ in self:
                pass

    def taken(self, timeout_seconds: float) -> None:
        """Record that an environment has started the invocation."""
        self.deadline_seconds = time.time() + timeout_seconds

    def begin(self, answer: Answer) -> None:
        """Record the head of the answer."""
        if not self._answer.done():
            self._answer.set_result(answer)

    async def feed(self, chunk: bytes) -> None:
        """Add a chunk of the body; wait while the reader is far behind."""
        await self._room.acquire()
        if not self._over:
            self._chunks.put_nowait(chunk)

    def finish(self, failure: FunctionFailedError | None = None) -> None:
        """End the invocation, with a failure if given; later calls have no effect."""
        if self._over:
            return
        self._over = True
        if self._answer.done():
            self._chunks.put_nowait(failure)
        elif failure:
            self._answer.set_exception(failure)
            self._answer.exception()  # asyncio must not complain if no caller awaits it

"""One invocation, as seen by the caller and by the function's process."""

import asyncio
import json
import uuid
from dataclasses import dataclass

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


class Invocation:
    """An event for a function, and the function's answer."""

    def __init__(self, event: bytes) -> None:
        self.event, self.id = event, str(uuid.uuid4())
        self.deadline_seconds = 0.0  # since the epoch; known once an environment takes it
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | FunctionFailedError | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(CHUNKS_IN_FLIGHT)
        self._closed = False  # no more chunks are accepted

    async def answer(self) -> Answer:
        """Wait for the head of the answer; FunctionFailedError if the function fails first."""
        return await asyncio.shield(self._answer)

    def __aiter__(self) -> "Invocation":
        """Iterate over the chunks of the body as they arrive."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk of the body; FunctionFailedError if the function failed."""
        chunk = await self._chunks.get()
        if isinstance(chunk, bytes):
            self._room.release()
            return chunk
        raise chunk or StopAsyncIteration

    async def read(self) -> bytes:
        """Return the complete body; FunctionFailedError if the function failed."""
        await self.answer()
        return b"".join([chunk async for chunk in self])

    def discard(self) -> None:
        """Discard the rest of the answer, so that the function can finish without a reader."""
        self._closed = True
        self._room.release()

    def begin(self, answer: Answer) -> None:
        """Record the head of the answer."""
        if not self._answer.done():
            self._answer.set_result(answer)

    async def feed(self, chunk: bytes) -> None:
        """Add a chunk of the body; wait while the reader is far behind."""
        if not self._closed:
            await self._room.acquire()
        if not self._closed:
            self._chunks.put_nowait(chunk)

    def finish(self, failure: FunctionFailedError | None = None) -> None:
        """End the invocation, with a failure if given; later calls have no effect."""
        if self._closed:
            return
        self._closed = True
        if self._answer.done():
            self._chunks.put_nowait(failure)
        elif failure:
            self._answer.set_exception(failure)
            self._answer.exception()  # asyncio must not complain if no caller awaits it

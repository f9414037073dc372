"""One call of a function, seen from both ends: who asked for it and the process that answers."""

import asyncio
import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

PAYLOAD_LIMIT_BYTES = 6_291_556  # what Lambda takes and gives back in one piece
CHUNKS_IN_FLIGHT = 16  # a reader this far behind stops the function's writing


class FunctionFailedError(Exception):
    """The function failed: `kind` and `message` are what Lambda reports of it."""

    def __init__(self, kind: str, message: str, payload: bytes | None = None) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message
        self.payload = payload or json.dumps({"errorType": kind, "errorMessage": message}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of an answer: how its body comes."""

    streaming: bool
    content_type: str


@dataclass(slots=True, kw_only=True, eq=False)
class Invocation:
    """An event on its way to a function and the function's answer on its way back."""

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
        """The head of the answer; raises FunctionFailedError if the function failed before it."""
        return await asyncio.shield(self._answer)

    def __aiter__(self) -> "Invocation":
        """Iterates over the pieces of the body as they come."""
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the body; raises FunctionFailedError if the function failed."""
        chunk = None if self.consumed else await self._chunks.get()
        if isinstance(chunk, bytes):
            self._room.release()
            return chunk
        self.consumed = True
        raise chunk or StopAsyncIteration

    async def read(self) -> bytes:
        """The whole body; raises FunctionFailedError."""
        await self.answer()
        return b"".join([chunk async for chunk in self])

    async def drain(self) -> None:
        """Lets the function finish although nobody wants its answer any more."""
        with suppress(FunctionFailedError):
            await self.answer()
            async for _ in self:
                pass

    def taken(self, timeout_seconds: float) -> None:
        """An environment has begun to work on it."""
        self.deadline_seconds = time.time() + timeout_seconds

    def begin(self, answer: Answer) -> None:
        """The function has begun to answer."""
        if not self._answer.done():
            self._answer.set_result(answer)

    async def feed(self, chunk: bytes) -> None:
        """Hands on a piece of the body; waits while the reader is far behind."""
        await self._room.acquire()
        if not self._over:
            self._chunks.put_nowait(chunk)

    def finish(self, failure: FunctionFailedError | None = None) -> None:
        """The function is done with it, or has failed; what is said after that is not heard."""
        if self._over:
            return
        self._over = True
        if self._answer.done():
            self._chunks.put_nowait(failure)
        elif failure:
            self._answer.set_exception(failure)
            self._answer.exception()  # a caller that has gone must not make asyncio complain

"""An answer in the form in which it is kept, to be given again."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import AnswerIncomplete, AnswerTooLarge, ReplayedFailure
from llm_relay.transport.http_transport import MAX_ANSWER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_relay.core.errors import RelayError

Document = dict[str, Any]

REPLAYED_HEADER = "x-relay-replayed"
# Compressed. An item of DynamoDB ends at 400 KB, and base64 adds a third.
MAX_STORED_BYTES = 290_000
_GZIP = 31
# The others tell of the one call; giving its answer again costs nothing.
_KEPT_HEADERS = {
    "content-type",
    "cache-control",
    "x-relay-dropped",
    "x-relay-provider",
    "x-upstream-request-id",
}


class AnswerRecorder:
    """The bytes of an answer, compressed as they pass; it stays small however many they are."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=_GZIP)
        self._compressed = bytearray()
        self._length = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece, unless there is too much of it all."""
        self._length += len(piece)
        if not self._is_too_large():
            self._compressed += self._compressor.compress(piece)

    def text(self) -> str | None:
        """Return all there was as text, once; None if it is too large to be kept."""
        self._compressed += self._compressor.flush()
        return None if self._is_too_large() else base64.b64encode(self._compressed).decode()

    def _is_too_large(self) -> bool:
        return self._length > MAX_ANSWER_BYTES or len(self._compressed) > MAX_STORED_BYTES


class RecordedBody:
    """A streamed body that is recorded as it passes, and put down once: at its end, or when left.

    An iterator with `close`, and no generator: one that never started would put nothing down.
    """

    def __init__(
        self, body: Iterator[bytes], put_down: Callable[[AnswerRecorder | None], None]
    ) -> None:
        self._body = body
        self._put_down = put_down
        self._recording = AnswerRecorder()
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        """Return the one pass there is."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece; the last one is put down before the caller hears of the end."""
        piece = next(self._body, None)
        if piece is None:
            self._end(self._recording)
            raise StopIteration
        self._recording.add(piece)
        return piece

    def close(self) -> None:
        """Let go of the body; one that has not ended by itself is put down as left."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._end(None)

    def _end(self, recording: AnswerRecorder | None) -> None:
        if not self._over:
            self._over = True
            self._put_down(recording)


def stored_answer(answer: HttpAnswer, recording: AnswerRecorder | None) -> Document:
    """Return an answer as it is kept, or what a repeat is told if it cannot be."""
    if recording is None:
        return stored_failure(
            AnswerIncomplete(
                "The first call with this Idempotency-Key was left before its answer ended. It "
                "may have been paid for, so it is not made again. Ask with a new key."
            )
        )
    body = recording.text()
    if body is None:
        return stored_failure(
            AnswerTooLarge(
                "The first call with this Idempotency-Key was answered and paid for, but the "
                "answer is too large to be kept. Ask with a new key, or for less."
            )
        )
    headers = {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}
    return {"status": int(answer.status), "headers": headers, "body": body}


def stored_failure(error: RelayError) -> Document:
    """Return a failure as it is kept."""
    # As text, for Powertools sorts the names in what it stores.
    told = json.dumps(error.body()["error"])
    return {"status": int(error.status), "headers": error.headers(), "error": told}


def replayed_answer(document: Document) -> HttpAnswer:
    """Return the answer that was kept; FailedBefore if it was a failure."""
    headers = {**document["headers"], REPLAYED_HEADER: "true"}
    if "error" in document:
        raise ReplayedFailure(document["status"], json.loads(document["error"]), headers)
    body = zlib.decompress(base64.b64decode(document["body"]), wbits=_GZIP)
    return HttpAnswer(status=document["status"], headers=headers, body=[body])

"""Answers in the form in which they are stored and replayed."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import AnswerIncomplete, AnswerTooLarge, RelayError, ReplayedFailure
from llm_relay.transport.http_transport import MAX_ANSWER_BYTES

StoredAnswer = dict[str, Any]

REPLAYED_HEADER = "x-relay-replayed"
# Compressed. DynamoDB's items have at most 400 KB, and base64 adds a third.
MAX_STORED_BYTES = 290_000
_GZIP = 31
# The other headers describe the first call only; replaying its answer costs nothing.
_STORED_HEADERS = {
    "content-type",
    "cache-control",
    "x-relay-dropped",
    "x-relay-provider",
    "x-upstream-request-id",
}
_INCOMPLETE = (
    "The first caller with this Idempotency-Key disconnected before the answer ended. It may have "
    "been billed, so it is not repeated. Use a new key."
)
_TOO_LARGE = (
    "The first call with this Idempotency-Key was answered and billed, but the answer is too "
    "large to store. Use a new key, or request a shorter answer."
)


class RecordedBody:
    """A body that is compressed as it passes, and stored at its end.

    An iterator with `close`, not a generator: a generator that never starts runs no cleanup.
    """

    def __init__(self, answer: HttpAnswer, store: Callable[[StoredAnswer], None]) -> None:
        self._answer = answer
        self._pieces = iter(answer.body)
        self._store = store
        self._compressor = zlib.compressobj(wbits=_GZIP)
        self._compressed = bytearray()
        self._length = 0
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        """Return the only pass."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece; the answer is stored before the caller sees the end."""
        piece = next(self._pieces, None)
        if piece is None:
            self._end(self._recorded)
            raise StopIteration
        self._length += len(piece)
        if not self._is_too_large():
            self._compressed += self._compressor.compress(piece)
        return piece

    def close(self) -> None:
        """Close the body; if it has not ended, its answer is incomplete."""
        try:
            if close := getattr(self._answer.body, "close", None):
                close()
        finally:
            self._end(lambda: stored_failure(AnswerIncomplete(_INCOMPLETE)))

    def _end(self, stored: Callable[[], StoredAnswer]) -> None:
        if not self._is_over:
            self._is_over = True
            self._store(stored())

    def _recorded(self) -> StoredAnswer:
        self._compressed += self._compressor.flush()
        if self._is_too_large():
            return stored_failure(AnswerTooLarge(_TOO_LARGE))
        headers = self._answer.headers.items()
        return {
            "status": int(self._answer.status),
            "headers": {name: value for name, value in headers if name in _STORED_HEADERS},
            "body": base64.b64encode(self._compressed).decode(),
        }

    def _is_too_large(self) -> bool:
        return self._length > MAX_ANSWER_BYTES or len(self._compressed) > MAX_STORED_BYTES


def stored_failure(error: RelayError) -> StoredAnswer:
    """Return a failure to store."""
    # As text: Powertools sorts the keys of what it stores.
    text = json.dumps(error.body()["error"])
    return {"status": int(error.status), "headers": error.headers(), "error": text}


def replayed_answer(stored: StoredAnswer) -> HttpAnswer:
    """Return a stored answer; ReplayedFailure if it is a failure."""
    headers = {**stored["headers"], REPLAYED_HEADER: "true"}
    if "error" in stored:
        raise ReplayedFailure(stored["status"], json.loads(stored["error"]), headers)
    body = zlib.decompress(base64.b64decode(stored["body"]), wbits=_GZIP)
    return HttpAnswer(status=stored["status"], headers=headers, body=[body])

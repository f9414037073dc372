"""The results of rows: their lines in OpenAI's format, and the parts of a chunk's results.

A part has an index on the first line, then the result lines.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_relay.batch.model.names import row_request_id
from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion

Part = tuple[str, bytes]  # a key and its object

_THREADS = 16
_MAX_AHEAD = 32
_MAX_AHEAD_BYTES = 64 * 1024 * 1024
_FIRST_GUESS_BYTES = 8 * 1024 * 1024  # the size of an object before any is known


class RowResult(NamedTuple):
    """The result of one row; a row without an answer may have a cost as well."""

    row: int  # counted from 0 over the whole file
    line: bytes  # of the output or the error file, with its line break
    is_answer: bool  # whether the line belongs to the output file
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0


@dataclass(slots=True, kw_only=True)
class ResultTotals:
    """Counts and sums over results."""

    completed: int = 0
    failed: int = 0
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0

    def add(self, result: RowResult) -> None:
        """Add one result."""
        self.completed += result.is_answer
        self.failed += not result.is_answer
        self.cost_nanos += result.cost_nanos
        self.tokens_in += result.tokens_in
        self.tokens_cached += result.tokens_cached
        self.tokens_out += result.tokens_out
        self.tokens_reasoning += result.tokens_reasoning


def success_result(
    batch_id: str, row: int, custom_id: str, completion: Completion, cost_nanos: int
) -> RowResult:
    """Return the result of an answered row; the answer's text is kept as the provider sent it."""
    usage, text = completion.usage, completion.text.strip()
    if b"\n" in text or b"\r" in text:
        text = compact(completion.document)
    request_id, provider = completion.provider_request_id, completion.provider
    response = _response(completion.status, request_id, provider)
    return RowResult(
        row=row,
        line=_line(batch_id, row, custom_id, response, text),
        is_answer=True,
        cost_nanos=cost_nanos,
        tokens_in=usage.tokens_in or 0,
        tokens_cached=usage.tokens_cached or 0,
        tokens_out=usage.tokens_out or 0,
        tokens_reasoning=_reasoning_tokens(completion.document),
    )


def error_result(
    batch_id: str, row: int, custom_id: str | None, error: RelayError, cost_nanos: int = 0
) -> RowResult:
    """Return the result of a row that failed and is not retried."""
    request_id = error.headers().get("x-upstream-request-id")
    response = _response(error.status, request_id, error.provider)
    line = _line(batch_id, row, custom_id, response, compact(error.body()))
    return RowResult(row=row, line=line, is_answer=False, cost_nanos=cost_nanos)


def response_model(line: bytes) -> str | None:
    """Return the model that the answer of an output line names."""
    model = json.loads(line)["response"]["body"].get("model")
    return model if isinstance(model, str) else None


def format_part(results: Iterable[RowResult]) -> bytes:
    """Return the content of a part."""
    listed = list(results)
    index = [(row, len(line), *map(int, counts)) for row, line, *counts in listed]
    return b"\n".join([compact(index), b"".join(each.line for each in listed)])


def parse_part(text: bytes) -> Iterator[RowResult]:
    """Yield the results of a part; the lines themselves are not parsed."""
    start = text.index(b"\n") + 1
    for row, length, is_answer, *counts in json.loads(text[:start]):
        yield RowResult(row, text[start : start + length], bool(is_answer), *counts)
        start += length


def read_parts(bucket: Bucket, keys: Iterable[str]) -> Iterator[Part]:
    """Yield keys with their content, read ahead; fewer are held in memory if they are large."""
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


def _response(status: int, request_id: str | None, provider: str | None) -> dict[str, Any]:
    response = {"status_code": int(status), "request_id": request_id}
    return response | {"provider": provider} if provider else response


def _line(
    batch_id: str, row: int, custom_id: str | None, response: dict[str, Any], body: bytes
) -> bytes:
    line_id = row_request_id(batch_id, row)
    response["request_id"] = response["request_id"] or line_id
    head = compact({"id": line_id, "custom_id": custom_id, "response": response})[:-2]
    return b'%b,"body":%b},"error":null}\n' % (head, body)


def _reasoning_tokens(document: Mapping[str, Any]) -> int:
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    details = counts.get("completion_tokens_details") or counts.get("output_tokens_details")
    count = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and count >= 0 else 0

"""The rows of a chunk that are still to be run, read as they are wanted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.lines import read_lines
from llm_relay.batch.model.result_lines import error_result
from llm_relay.batch.model.row_check import InvalidLine, parse_row
from llm_relay.core.errors import BadRequest, PricesUnavailable, RelayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.lines import Line
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.worker.budget import ReservedRows
    from llm_relay.billing.admission import Admission
    from llm_relay.providers.provider import Provider

_BLOCK_BYTES = 4 * 1024 * 1024
# Rows that are held in memory before they are run; a row may have 8 MiB.
_PENDING_ROWS = 256
_PENDING_BYTES = 16 * 1024 * 1024

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One row on its way to an answer."""

    row: int  # counted from 0 over the whole file
    custom_id: str
    body: Document
    bytes: int  # of its line
    worst_nanos: int  # what it may cost at the most; 0 for clients without a budget
    # What each of the providers gets that can take it, in their order.
    bodies: Mapping[Provider, Document] = field(default_factory=dict)
    slice: ReservedRows | None = None  # whose money it spends
    failures: int = 0  # that were its own
    successes_before: int = 0  # of others, when it first failed


class InputChanged(Exception):  # noqa: N818 - what happened
    """The file that was checked was replaced or deleted: what is there now is not the batch's."""


class Rows:
    """A chunk's rows in order; those that may not be run are refused as they are read."""

    def __init__(
        self,
        batch: Batch,
        lines: Iterator[Line],
        admitted: Callable[[Document], Admission],
        refuse: Callable[[RowResult], None],
    ) -> None:
        self._batch = batch
        self._lines = lines
        self._admission = admitted
        self._refuse = refuse
        self.pending: deque[Row] = deque()  # read, and not yet taken

    def fill(self) -> bool:
        """Read some rows ahead; return whether there are any. PricesUnavailable if none can be."""
        held = sum(row.bytes for row in self.pending)
        while len(self.pending) < _PENDING_ROWS and held < _PENDING_BYTES:
            line = next(self._lines, None)
            if line is None:
                break
            row = self._row(line)
            if row:
                self.pending.append(row)
                held += row.bytes
        return bool(self.pending)

    def _row(self, line: Line) -> Row | None:
        custom_id = None
        try:
            row = parse_row(line)
            custom_id = row.custom_id
            return self._admitted(line, custom_id, row.body)
        except InvalidLine as bad:
            failure: RelayError = BadRequest(bad.message, param=bad.param)
        except PricesUnavailable:
            raise  # it passes, and the row is read again
        except RelayError as error:
            failure = error
        self._refuse(error_result(self._batch.id, line.row, custom_id, failure))
        return None

    def _admitted(self, line: Line, custom_id: str, body: Document) -> Row:
        admission = self._admission(body)
        return Row(
            row=line.row,
            custom_id=custom_id,
            body=admission.body,
            bytes=len(line.text),
            worst_nanos=admission.worst_nanos,
            bodies=admission.bodies,
        )


def lines_of(bucket: Bucket, batch: Batch, chunk: Chunk, done: bytearray) -> Iterator[Line]:
    """Yield the lines of a chunk whose rows are not done, in little memory; or InputChanged."""
    blocks = _blocks(bucket, batch, chunk)
    for line in read_lines(blocks, start=chunk.start, first_row=chunk.first_row):
        if not done[line.row - chunk.first_row]:
            yield line


def _blocks(bucket: Bucket, batch: Batch, chunk: Chunk) -> Iterator[bytes]:
    for start in range(chunk.start, chunk.end, _BLOCK_BYTES):
        end = min(start + _BLOCK_BYTES, chunk.end)
        try:
            block = bucket.get(batch.input_key, start, end, batch.input_etag)
        except KeyError:
            raise InputChanged from None
        yield block

"""The unprocessed rows of a chunk, read from the input file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.lines import Line, read_chunk
from llm_relay.batch.model.result_lines import error_result
from llm_relay.batch.model.row_check import InvalidLine, parse_row
from llm_relay.core.errors import BadRequest, PricesUnavailable, RelayError

if TYPE_CHECKING:
    from llm_relay.aws.s3 import Bucket
    from llm_relay.batch.model.leases import RowsReservation
    from llm_relay.batch.model.manifest import Chunk
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.model.record import Batch
    from llm_relay.billing.admission import Admission
    from llm_relay.providers.provider import Provider


Document = dict[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class ReservedRows:
    """Rows that share a reservation, and the usage of those that are written."""

    reservation: RowsReservation
    unwritten: int = 0
    usage: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by model

    def add_result(self, result: RowResult, model: str) -> bool:
        """Add a written row; return whether it was the last one."""
        self.unwritten -= 1
        if result.is_answer or result.cost_nanos:
            self.usage[model].update(
                requests=1,
                cost_nanos=result.cost_nanos,
                tokens_in=result.tokens_in,
                tokens_out=result.tokens_out,
            )
        return not self.unwritten


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One row until its result is recorded."""

    row: int  # counted from 0 over the whole file
    custom_id: str
    body: Document
    bytes: int  # of its line
    max_cost_nanos: int  # the most it may cost; 0 without a budget
    # The body for each provider that accepts the row, in the order of preference.
    bodies: Mapping[Provider, Document] = field(default_factory=dict)
    reserved: ReservedRows | None = None  # None without a budget
    failures: int = 0  # refusals of this row itself
    successes_before: int = 0  # of other rows, when this one first failed

    @property
    def model(self) -> str:
        """The model that the row requests."""
        return str(self.body.get("model"))


def read_rows(
    lines: Iterable[Line],
    batch_id: str,
    admit: Callable[[Document], Admission],
    on_invalid: Callable[[RowResult], None],
) -> Iterator[Row]:
    """Yield the rows that may run; pass the results of the others to `on_invalid`.

    Raises PricesUnavailable, or InputChanged.
    """
    for line in lines:
        custom_id = None
        try:
            row = parse_row(line)
            custom_id = row.custom_id
            admission = admit(row.body)
        except InvalidLine as invalid:
            failure: RelayError = BadRequest(invalid.message, param=invalid.param)
        except PricesUnavailable:
            raise  # temporary: the next invocation reads the row again
        except RelayError as error:
            failure = error
        else:
            yield Row(
                row=line.row,
                custom_id=custom_id,
                body=admission.body,
                bytes=len(line.text),
                max_cost_nanos=admission.max_cost_nanos,
                bodies=admission.bodies,
            )
            continue
        on_invalid(error_result(batch_id, line.row, custom_id, failure))


def unprocessed_lines(
    bucket: Bucket, batch: Batch, chunk: Chunk, done: bytearray
) -> Iterator[Line]:
    """Return the lines of a chunk whose rows are not done; raises InputChanged while read."""
    lines = read_chunk(bucket, batch, chunk)
    return (line for line in lines if not done[line.row - chunk.first_row])

"""What the rows of a batch came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_relay.batch.model.record import usage_document

if TYPE_CHECKING:
    from llm_relay.batch.finalize.unprocessed_rows import Reason
    from llm_relay.batch.model.parts import RowResult
    from llm_relay.batch.model.record import Document


@dataclass(slots=True)
class BatchTotals:
    """Counts and sums over the results that were written."""

    completed: int = 0
    failed: int = 0
    never_run: int = 0
    cause: Reason | None = None  # why rows were never run
    cost_nanos: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoning: int = 0
    output_bytes: int = 0
    error_bytes: int = 0

    def add(self, result: RowResult) -> None:
        """Count a row that was run."""
        if result.is_answer:
            self.completed += 1
        else:
            self.failed += 1
        self.cost_nanos += result.cost_nanos
        self.tokens_in += result.tokens_in
        self.tokens_cached += result.tokens_cached
        self.tokens_out += result.tokens_out
        self.tokens_reasoning += result.tokens_reasoning

    def usage(self) -> Document:
        """Return what all rows used, as OpenAI's API shows it."""
        return usage_document(
            self.tokens_in, self.tokens_cached, self.tokens_out, self.tokens_reasoning
        )

"""The input of the state machine's steps: which batch a step works on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_relay.batch.model.inbox import InboxObject
from llm_relay.batch.model.names import OPERATOR
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from llm_relay.batch.model.record import Document


class StepFailed(Exception):  # noqa: N818 - Step Functions shows this name to the operator
    """A step failed and may be retried; the function's log has the location of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReference:
    """The batch that a step works on."""

    owner: str
    batch: str
    execution: str | None = None  # the failed execution; None if the step may end any batch
    inbox_object: InboxObject | None = None  # the input, if the batch came through the inbox

    def document(self) -> Document:
        """Return the fields that each step passes to the next."""
        return {"owner": self.owner, "batch": self.batch}


def batch_reference(event: Mapping[str, Any]) -> BatchReference:
    """Return the batch of a step: from its ids, an S3 event, or the event of a failed execution."""
    detail = event.get("detail")
    if detail is None:
        return BatchReference(owner=event["owner"], batch=event["batch"])
    if "executionArn" not in detail:
        found = InboxObject.from_event(event)
        return BatchReference(owner=OPERATOR, batch=found.batch_id, inbox_object=found)
    first_input = json.loads(detail["input"])
    # An execution that finalizes a cancelled batch is not the one that ran it.
    execution = None if "close" in first_input else detail["executionArn"]
    return replace(batch_reference(first_input), execution=execution)


def run_step(event: Mapping[str, Any], work: Callable[[], Document]) -> Document:
    """Return the result of a step; StepFailed, whose message holds nothing of the rows."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the runtime would print what the error quotes
        log_internal_error(error, str(event.get("batch") or "batch"))
        raise StepFailed(f"{type(error).__name__}. See the function's log.") from None

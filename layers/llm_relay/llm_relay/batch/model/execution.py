"""What an execution of the state machine is told, and which batch it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.inbox import InboxObject
from llm_relay.batch.model.names import OPERATOR
from llm_relay.core.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Document = dict[str, Any]


class StepFailed(Exception):  # noqa: N818 - Step Functions shows this name to the operator
    """A step that may be tried again; the log says where it broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReference:
    """The batch that a step is about."""

    owner: str
    batch: str
    execution: str | None = None  # one that died; None if the step may end any
    arrival: InboxObject | None = None  # what the batch is to be made of, if it came to the inbox

    def document(self) -> Document:
        """Return it as the steps hand it on."""
        return {"owner": self.owner, "batch": self.batch}


def batch_reference(told: Mapping[str, Any]) -> BatchReference:
    """Return which batch is meant: by name, by an object that came, or by what died on it."""
    detail = told.get("detail")
    if detail is None:
        return BatchReference(owner=told["owner"], batch=told["batch"])
    if "executionArn" not in detail:
        arrival = InboxObject.from_event(told)
        return BatchReference(owner=OPERATOR, batch=arrival.batch_id, arrival=arrival)
    first = json.loads(detail["input"])
    # An execution that was to end a batch is not the one that ran it.
    execution = None if "close" in first else detail["executionArn"]
    return replace(batch_reference(first), execution=execution)


def run_step(told: Mapping[str, Any], work: Callable[[], Document]) -> Document:
    """Do the work of a step; StepFailed says nothing of what the rows hold."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the runtime would print what the error quotes
        log_internal_error(error, str(told.get("batch") or "batch"))
        raise StepFailed(f"{type(error).__name__}; the function's log has more.") from None

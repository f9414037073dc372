"""The first step of a batch: checks every row and divides the file into chunks."""

from typing import Any

from llm_relay.batch.plan.plan import plan_batch


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return what the state machine does with the batch."""
    return plan_batch(event)

"""Runs the rows of one chunk of a batch, many at once."""

from typing import Any

from llm_relay.batch.worker.invocation import work


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run rows for as long as there is time; return what is left."""
    return work(event, context.get_remaining_time_in_millis() / 1000)

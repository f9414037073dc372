"""Runs the rows of one chunk of a batch in parallel."""

from typing import Any

from llm_relay.batch.worker.invocation import run_chunk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run rows for as long as there is time; return what is left."""
    return run_chunk(event, seconds=context.get_remaining_time_in_millis() / 1000)

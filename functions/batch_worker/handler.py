"""Runs the rows of one chunk of a batch in parallel."""

from typing import Any

from llm_relay.batch.worker.invocation import run_chunk


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run rows until the time is up; return what remains."""
    return run_chunk(event, seconds=context.get_remaining_time_in_millis() / 1000)

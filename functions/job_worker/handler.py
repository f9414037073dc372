"""Processes messages of the jobs queue."""

from typing import Any

from llm_relay.jobs.worker import process_messages


def handler(event: dict[str, Any], context: Any) -> Any:
    """Run the jobs of one SQS event; return the messages to deliver again."""
    return process_messages(event, context)

"""The jobs queue."""

from typing import Any

from llm_relay.jobs.worker import process_messages


def handler(event: dict[str, Any], context: Any) -> Any:
    """Carry out the jobs of one SQS event; name those that are to come again."""
    return process_messages(event, context)

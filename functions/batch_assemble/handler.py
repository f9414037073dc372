"""The last step of a batch: puts its results together."""

from typing import Any

from llm_relay.batch.finalize.assemble import assemble


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return in how many seconds this is to be called again, if at all."""
    return assemble(event, context.get_remaining_time_in_millis() / 1000)

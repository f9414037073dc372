"""The last step of a batch: merges its results."""

from typing import Any

from llm_relay.batch.finalize.assemble import assemble


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return in how many seconds to call this again, if at all."""
    return assemble(event, context.get_remaining_time_in_millis() / 1000)

"""The checks of `relay doctor` that run inside the stack: secret and provider."""

from typing import Any

from llm_relay.diagnostics.inspection import inspect_stack


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the findings; the event may name the model to request."""
    return inspect_stack(event, context.get_remaining_time_in_millis() / 1000)

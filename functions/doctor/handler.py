"""`relay doctor`, as far as it looks from the inside: at the secret and the provider."""

from typing import Any

from llm_relay.diagnostics.inspection import inspect_stack


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return what was found; the event may name the model to ask for."""
    return inspect_stack(event, context.get_remaining_time_in_millis() / 1000)

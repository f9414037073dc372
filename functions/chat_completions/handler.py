"""POST /v1/chat/completions."""

from typing import Any

from llm_relay.api_gateway import request_of
from llm_relay.chat import ChatCompletions
from llm_relay.relay import relay
from llm_relay.snapstart import prepare
from llm_relay.streaming import deliver

prepare()


def handler(event: dict[str, Any], context: Any) -> Any:
    """Relay one chat completion, streamed or whole."""
    seconds = context.get_remaining_time_in_millis() / 1000
    return deliver(relay(ChatCompletions(), request_of(event), seconds))

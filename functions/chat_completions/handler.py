"""POST /v1/chat/completions."""

from typing import Any

from llm_relay.api.api_gateway import request_of
from llm_relay.api.relay import relay
from llm_relay.aws.lambda_streaming import deliver
from llm_relay.aws.snapstart import prepare
from llm_relay.endpoints.chat import ChatCompletions

prepare()


def handler(event: dict[str, Any], context: Any) -> Any:
    """Relay one chat completion, streamed or whole."""
    seconds = context.get_remaining_time_in_millis() / 1000
    return deliver(relay(ChatCompletions(), request_of(event), seconds))

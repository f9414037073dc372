"""POST /v1/chat/completions."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.api.relay import provider_router, relay_request
from llm_relay.aws.lambda_streaming import lambda_result
from llm_relay.aws.snapstart import register_hooks
from llm_relay.endpoints.chat import ChatCompletions

register_hooks(warm_up=provider_router)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Relay one chat completion, streamed or buffered."""
    seconds = context.get_remaining_time_in_millis() / 1000
    answer = relay_request(ChatCompletions(), parse_event(event), seconds)
    return lambda_result(answer, proxy_result)

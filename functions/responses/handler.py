"""POST /v1/responses."""

from typing import Any

from llm_relay.api.api_gateway import parse_event, proxy_result
from llm_relay.api.relay import provider_router, relay_request
from llm_relay.aws.lambda_streaming import lambda_result
from llm_relay.aws.snapstart import register_hooks
from llm_relay.endpoints.responses import Responses
from llm_relay.jobs.background_relay import BackgroundAwareRelay

register_hooks(warm_up=provider_router)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Relay one response, streamed or buffered, or accept it as a background response."""
    seconds = context.get_remaining_time_in_millis() / 1000
    answer = relay_request(Responses(), parse_event(event), seconds, BackgroundAwareRelay)
    return lambda_result(answer, proxy_result)

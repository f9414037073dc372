"""POST /v1/responses."""

from typing import Any

from llm_relay.api.api_gateway import request_of
from llm_relay.api.relay import relay
from llm_relay.aws.lambda_streaming import deliver
from llm_relay.aws.snapstart import prepare
from llm_relay.endpoints.responses import Responses
from llm_relay.jobs.background_relay import BackgroundAwareRelay

prepare()


def handler(event: dict[str, Any], context: Any) -> Any:
    """Relay one response, streamed or whole, or take it on for later."""
    seconds = context.get_remaining_time_in_millis() / 1000
    return deliver(relay(Responses(), request_of(event), seconds, BackgroundAwareRelay))

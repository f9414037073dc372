"""GET /v1/usage."""

from llm_relay.api.api_gateway import proxy_handler
from llm_relay.api.usage_report import show_usage

handler = proxy_handler(show_usage)

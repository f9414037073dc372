"""GET /v1/usage: returns the caller's usage and budget."""

from llm_relay.api.api_gateway import proxy_handler
from llm_relay.api.usage_report import show_usage

handler = proxy_handler(show_usage)

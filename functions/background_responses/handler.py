"""GET and DELETE /v1/responses/{id}, and POST /v1/responses/{id}/cancel."""

from llm_relay.api.api_gateway import proxy_handler
from llm_relay.jobs.response_routes import serve_response

handler = proxy_handler(serve_response)

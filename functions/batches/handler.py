"""POST and GET /v1/batches, GET /v1/batches/{id}, POST /v1/batches/{id}/cancel."""

from llm_relay.api.api_gateway import proxy_handler
from llm_relay.batch.api.batches import serve_batches

handler = proxy_handler(serve_batches)

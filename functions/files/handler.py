"""POST and GET /v1/files, GET and DELETE /v1/files/{id}, GET /v1/files/{id}/content."""

from llm_relay.api.api_gateway import proxy_handler
from llm_relay.batch.api.files import serve_files

handler = proxy_handler(serve_files)

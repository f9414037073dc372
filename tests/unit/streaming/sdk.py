"""The official client, fed from memory."""

from __future__ import annotations

import httpx2
import openai


def client_that_gets(body: bytes, content_type: str = "text/event-stream") -> openai.OpenAI:
    """Return a client whose every request is answered with this body."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://provider/v1", http_client=http)

"""Calls the provider simulator over a socket and reads what comes back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from openai import OpenAI

from local.provider_simulator.server import Provider

MODEL = "abliterated-model"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ProviderCaller:
    server: Provider
    url: str
    session: requests.Session

    def chat(self, switches: str = "", say: str = "hello", **body: Any) -> requests.Response:
        messages = [{"role": "user", "content": say}]
        body = {"model": MODEL, "messages": messages, **body}
        return self.post("/chat/completions", body, switches)

    def responses(self, switches: str = "", say: str = "hello", **body: Any) -> requests.Response:
        return self.post("/responses", {"model": MODEL, "input": say, **body}, switches)

    def models(self, switches: str = "") -> requests.Response:
        headers = self.headers(switches)
        return self.session.get(f"{self.url}/models", headers=headers, timeout=TIMEOUT_SECONDS)

    def post(self, path: str, body: Any, switches: str = "") -> requests.Response:
        return self.session.post(
            self.url + path,
            data=body if isinstance(body, bytes) else json.dumps(body),
            headers=self.headers(switches),
            timeout=TIMEOUT_SECONDS,
            stream=True,
        )

    def headers(self, switches: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.key}", "x-simulate": switches}

    def admin(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = self.url.removesuffix("/v1") + "/_simulator" + path
        return self.session.request(method, url, json=body, timeout=TIMEOUT_SECONDS)

    def client(self, switches: str = "", retries: int = 0) -> OpenAI:
        headers = {"x-simulate": switches}
        return OpenAI(
            base_url=self.url,
            api_key=self.server.key,
            default_headers=headers,
            max_retries=retries,
        )


def frames(response: requests.Response) -> Iterator[Any]:
    """The payload of each event, JSON read, other text as it is."""
    for block in response.content.decode().split("\n\n"):
        for line in block.splitlines():
            data = line.removeprefix("data: ")
            if data != line:
                yield json.loads(data) if data.startswith("{") else data


def names(response: requests.Response) -> list[str]:
    """The event: names of a stream, in order."""
    lines = response.content.decode().splitlines()
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


def chat_text(events: list[Any]) -> str:
    """The content of all chunks of a chat stream, joined."""
    choices = [c for event in events if isinstance(event, dict) for c in event.get("choices", [])]
    return "".join(choice["delta"].get("content", "") for choice in choices)

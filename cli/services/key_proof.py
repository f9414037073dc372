"""Proves a provider key: one small chat completion, asked of the provider with it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import click
import requests

from cli.aws.target_stack import Stack
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS
from llm_relay.transport.settings import with_version

QUESTION = "Reply with: key verified."
TIMEOUT = (10, 120)  # seconds to connect, and to answer
ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it does not know this key. Copy it again from the provider's page.",
    HTTPStatus.FORBIDDEN: "this key may not do that. Give the key that right, or use another.",
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credits left. Top it up, and try again.",
    HTTPStatus.NOT_FOUND: "it has no such route or model. Check UpstreamBaseUrl, and try --model.",
    HTTPStatus.TOO_MANY_REQUESTS: "it is being asked too often. Try again in a minute.",
}


class NotProvenError(click.ClickException):
    """A key that the provider did not answer to; the message says why and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The key was not proven, and nothing has changed: {why}")


def prove(stack: Stack, key: str, model: str | None) -> str:
    """Asks the stack's provider with a key; returns the model that answered, or NotProvenError."""
    base_url = with_version(stack.parameter("UpstreamBaseUrl"))
    with requests.Session() as session:
        session.auth = bearer(key)  # not a header: .netrc would come before that
        asked = model or DEFAULT_MODELS.get(stack.parameter("ProviderDialect"))
        asked = asked or first_model(session, base_url)
        message = {"role": "user", "content": QUESTION}
        body = {"model": asked, "messages": [message]}
        answer = exchange(session, "POST", f"{base_url}/chat/completions", body)
    try:
        answer["choices"][0]["message"]
    except (LookupError, TypeError):
        raise NotProvenError(
            f"{base_url} answered, but not with a chat completion. Check UpstreamBaseUrl."
        ) from None
    return asked


def first_model(session: requests.Session, base_url: str) -> str:
    """The first model that the provider lists."""
    try:
        return str(exchange(session, "GET", f"{base_url}/models")["data"][0]["id"])
    except (LookupError, TypeError):
        raise NotProvenError(f"{base_url} lists no model. Name one with --model.") from None


def exchange(session: requests.Session, method: str, url: str, body: Any = None) -> Any:
    """What the provider answers, as JSON; NotProvenError for anything but that."""
    try:
        # A redirect would take the key to another host.
        reply = session.request(method, url, json=body, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise NotProvenError(
            f"{url} did not answer ({type(error).__name__}). Check UpstreamBaseUrl and the network."
        ) from None
    if reply.status_code != HTTPStatus.OK:
        advice = ADVICE.get(reply.status_code, "try again later, or name a model with --model.")
        raise NotProvenError(f"{url} answered {reply.status_code}: {advice}")
    try:
        return reply.json()
    except ValueError:
        raise NotProvenError(f"{url} did not answer JSON. Check UpstreamBaseUrl.") from None


def bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """What signs a request with a key."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign

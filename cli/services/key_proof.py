"""Verifies a provider key with one small chat completion."""

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
    HTTPStatus.UNAUTHORIZED: "it does not accept this key. Copy it again from the provider's page.",
    HTTPStatus.FORBIDDEN: "this key lacks permission. Grant it, or use another key.",
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credits left. Top it up, and try again.",
    HTTPStatus.NOT_FOUND: "it has no such route or model. Check UpstreamBaseUrl, and try --model.",
    HTTPStatus.TOO_MANY_REQUESTS: "its rate limit is reached. Try again in a minute.",
}


class KeyVerificationError(click.ClickException):
    """The key could not be verified; the message says why and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The key could not be verified, and nothing has changed: {why}")


def verify_key(stack: Stack, key: str, model: str | None) -> str:
    """Call the stack's provider with a key; return the model, or KeyVerificationError."""
    base_url = with_version(stack.parameter("UpstreamBaseUrl"))
    with requests.Session() as session:
        session.auth = bearer(key)  # not a header, which .netrc would override
        model = model or DEFAULT_MODELS.get(stack.parameter("ProviderDialect"))
        model = model or _first_model(session, base_url)
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
        answer = _request_json(session, "POST", f"{base_url}/chat/completions", body)
    try:
        answer["choices"][0]["message"]
    except (LookupError, TypeError):
        raise KeyVerificationError(
            f"{base_url} answered, but not with a chat completion. Check UpstreamBaseUrl."
        ) from None
    return model


def _first_model(session: requests.Session, base_url: str) -> str:
    """Return the first model that the provider lists."""
    try:
        return str(_request_json(session, "GET", f"{base_url}/models")["data"][0]["id"])
    except (LookupError, TypeError):
        raise KeyVerificationError(f"{base_url} lists no model. Name one with --model.") from None


def _request_json(session: requests.Session, method: str, url: str, body: Any = None) -> Any:
    """Return the provider's JSON answer; KeyVerificationError for anything else."""
    try:
        # A redirect would send the key to another host.
        reply = session.request(method, url, json=body, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise KeyVerificationError(
            f"{url} did not answer ({type(error).__name__}). Check UpstreamBaseUrl and the network."
        ) from None
    if reply.status_code != HTTPStatus.OK:
        advice = ADVICE.get(reply.status_code, "try again later, or name a model with --model.")
        raise KeyVerificationError(f"{url} answered {reply.status_code}: {advice}")
    try:
        return reply.json()
    except ValueError:
        raise KeyVerificationError(f"{url} did not answer JSON. Check UpstreamBaseUrl.") from None


def bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return an auth callable that sets a bearer key."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign

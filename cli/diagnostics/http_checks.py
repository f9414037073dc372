"""Checks of a stack's API over HTTP, with a client key."""

import os
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import requests

from cli.aws.target_stack import Stack
from cli.services.provider_key import bearer
from llm_relay.core.defaults import object_in
from llm_relay.core.json_codec import parse_object
from llm_relay.diagnostics.checklist import OK, Finding, fail, not_checked, ok, warn
from llm_relay.diagnostics.measurements import (
    MAX_SIGNATURE_SKEW_SECONDS,
    WARN_SKEW_SECONDS,
    clock_skew,
    describe_skew,
    measure_stream,
)
from llm_relay.diagnostics.provider_probe import small_chat_body
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS

TIMEOUT = (10, 300)  # seconds to connect, and to answer
CHUNK_BYTES = 65536
KEY_VARIABLES = ("RELAY_CLIENT_KEY", "OPENAI_API_KEY")
LOW_BUDGET_SHARE = 0.1
MIN_STREAM_SECONDS = 0.1  # shorter streams cannot show buffering
MIN_SPREAD_SHARE = 0.2  # of the provider's duration, without buffering
CHAT = "/chat/completions"
LOGS = "sam logs --name ChatCompletionsFunction"
TURN_ON = "sam deploy --parameter-overrides Streaming=shim"


class HttpChecks:
    """Checks of a stack's API as a client."""

    def __init__(self, stack: Stack, client_key: str | None, model: str | None) -> None:
        self._stack, self._client_key, self._model = stack, client_key, model
        self._session = requests.Session()
        self._date: str | None = None
        self._usage: dict[str, Any] = {}

    def health(self) -> Finding:
        """Check whether the API answers."""
        url = self._stack.base_url
        if not url:
            return fail("The stack has no output OpenAIBaseUrl.", "Run 'sam deploy'.")
        reply = self._session.get(f"{url.removesuffix('/v1')}/health", timeout=TIMEOUT)
        self._date = reply.headers.get("date")
        if reply.status_code != HTTPStatus.OK:
            why = f"{url} answers {reply.status_code}. {_error(reply)[1]}"
            return fail(why, "Run 'sam deploy'.")
        return ok(f"{url} answers in {reply.elapsed.total_seconds() * 1000:.0f} ms")

    def accepts_key(self) -> Finding:
        """Check whether the client key is accepted, with a free request."""
        key, whose = self._key()
        self._session.auth = bearer(key)
        reply = self._ask("GET", "/usage")
        if reply.status_code == HTTPStatus.UNAUTHORIZED:
            return fail(
                f"The client key ({whose}) is unknown (401).",
                "List the clients: relay keys list - and issue a new key: relay keys "
                "rotate NAME. The stack's output ShowClientKey prints the first key.",
            )
        if reply.status_code not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            return _refused(reply)
        self._usage = reply.json() if reply.status_code == HTTPStatus.OK else {}
        return ok(f"accepted ({whose})")

    def call(self) -> Finding:
        """Check whether a small request is answered."""
        reply = self._ask("POST", CHAT, small_chat_body(self._chosen_model(), stream=False))
        if reply.status_code != HTTPStatus.OK:
            return _refused(reply)
        headers = reply.headers
        return ok(
            f"answered in {reply.elapsed.total_seconds() * 1000:.0f} ms, of which "
            f"{headers.get('x-relay-overhead-ms')} ms in the relay, in "
            f"{headers.get('x-relay-attempts')} attempt(s)"
        )

    def stream(self, of_provider: Finding | None) -> Finding:
        """Check whether a stream arrives unbuffered, compared with the provider's."""
        started, chunks = time.monotonic(), list[bytes]()
        body = small_chat_body(self._chosen_model(), stream=True)
        with self._ask("POST", CHAT, body, stream=True) as reply:
            if reply.status_code != HTTPStatus.OK:
                return _refused(reply)
            arrival = measure_stream(_stored_chunks(reply, chunks), started)
        if of_provider and of_provider.state != OK:
            return not_checked("it needs 'provider stream'")
        if arrival is None or b"[DONE]" not in b"".join(chunks):
            return fail("The stream ended early.", f"See why: {LOGS}")
        if self._stack.parameter("Streaming") == "off":
            return warn("Streaming is off: streams are buffered.", TURN_ON)
        seconds = (of_provider and of_provider.seconds) or 0.0
        if seconds > MIN_STREAM_SECONDS and arrival.spread_seconds < MIN_SPREAD_SHARE * seconds:
            return fail(
                "The provider streams, but the API's stream arrives at once at its end "
                f"({arrival}).",
                "Something buffers it: a proxy between you and the API, or a runtime that the "
                f"streaming shim does not support (its log says so: {LOGS}).",
            )
        return ok(str(arrival))

    def clock(self) -> Finding:
        """Check this machine's clock against AWS's; signatures need it."""
        seconds = clock_skew(self._date)
        if seconds is None:
            return ok("the API does not report its time")
        if abs(seconds) <= WARN_SKEW_SECONDS:
            return ok("agrees with the API's")
        finding = fail if abs(seconds) >= MAX_SIGNATURE_SKEW_SECONDS else warn
        return finding(
            f"The clock of this machine is {describe_skew(seconds)} the API's; AWS refuses "
            f"signatures {MAX_SIGNATURE_SKEW_SECONDS} s off.",
            "Set it: timedatectl set-ntp true",
        )

    def budget(self) -> Finding:
        """Check the client's remaining budget."""
        budget = self._usage.get("budget")
        if not budget:
            return ok("the client key has none")
        usd, left, per = budget["usd"], budget["remaining_usd"], budget["per"]
        says = f"{left:g} of {usd:g} USD per {per} are left"
        fix = (
            f"It resets at {budget['resets_at']}. For more, create a new client: relay "
            "keys create NAME --budget-usd USD"
        )
        if left <= 0:
            return fail(f"{says}: the budget is used up.", fix)
        return warn(f"{says}.", fix) if left < LOW_BUDGET_SHARE * usd else ok(says)

    def _key(self) -> tuple[str, str]:
        """Return a client key and its origin."""
        if self._client_key:
            return self._client_key, "--client-key"
        if self._stack.client_key:
            return self._stack.client_key, "the local stack's"
        for name in KEY_VARIABLES:
            if key := os.environ.get(name):
                return key, name
        first = self._stack.client("apigateway").get_api_key(
            apiKey=self._stack.resource("ClientKey"), includeValue=True
        )
        return first["value"], "the stack's first"

    def _chosen_model(self) -> str:
        if not self._model:
            self._model = DEFAULT_MODELS.get(self._stack.dialect.name)
        if not self._model:
            self._model = str(self._ask("GET", "/models").json()["data"][0]["id"])
        return self._model

    def _ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        url = self._stack.base_url + path
        return self._session.request(method, url, json=body, timeout=TIMEOUT, **options)


def _refused(reply: requests.Response) -> Finding:
    code, message = _error(reply)
    return fail(f"The API answers {reply.status_code} {code}".rstrip() + ".", message)


def _error(reply: requests.Response) -> tuple[str, str]:
    """Return the code and the message of an error; the code may be empty."""
    error = object_in(parse_object(reply.content) or {}, "error")
    message = error.get("message") or "No reason given: see the functions' logs."
    return str(error.get("code") or ""), str(message)


def _stored_chunks(reply: requests.Response, store: list[bytes]) -> Iterator[bytes]:
    """Yield a stream's chunks as they arrive, and store them."""
    while chunk := reply.raw.read1(CHUNK_BYTES, decode_content=True):
        store.append(chunk)
        yield chunk

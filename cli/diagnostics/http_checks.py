"""How a stack answers its callers: asked over HTTP, with a client's key."""

import os
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import click
import requests

from cli.aws.target_stack import Stack
from cli.services.key_proof import bearer
from llm_relay.diagnostics.checklist import OK, Finding, fail, not_checked, ok, warn
from llm_relay.diagnostics.measurements import (
    MAX_SIGNATURE_SKEW_SECONDS,
    WARN_SKEW_SECONDS,
    StreamTiming,
    clock_skew,
    describe_skew,
    measure_stream,
)
from llm_relay.diagnostics.provider_probe import small_chat_body
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS

TIMEOUT = (10, 300)  # seconds to connect, and to answer
PIECE_BYTES = 65536
KEY_VARIABLES = ("RELAY_CLIENT_KEY", "OPENAI_API_KEY")
LITTLE = 0.1  # of a budget
TELLING_SECONDS = 0.1  # that a stream of the provider's takes; a quicker one tells nothing
LEAST_SHARE = 0.2  # of those, that the same takes over the API
CHAT = "/chat/completions"
LOGS = "sam logs --name ChatCompletionsFunction"
TURN_ON = "sam deploy --parameter-overrides Streaming=shim"


class HttpChecks:
    """A stack's API, asked as its clients ask."""

    def __init__(self, stack: Stack, client_key: str | None, model: str | None) -> None:
        self._stack, self._given, self._model = stack, client_key, model
        self._session = requests.Session()
        self._date: str | None = None
        self._usage: dict[str, Any] = {}

    def health(self) -> Finding:
        """Whether the API answers at all."""
        url = self._base_url()
        reply = self._session.get(f"{url.removesuffix('/v1')}/health", timeout=TIMEOUT)
        self._date = reply.headers.get("date")
        if reply.status_code != HTTPStatus.OK:
            return fail(f"{url} answers {reply.status_code}. {said(reply)}", "Run 'sam deploy'.")
        return ok(f"{url} answers in {reply.elapsed.total_seconds() * 1000:.0f} ms")

    def accepts_key(self) -> Finding:
        """Whether the client key opens the door; asked for what it used, which costs nothing."""
        key, whose = self._key()
        self._session.auth = bearer(key)
        reply = self._ask("GET", "/usage")
        if reply.status_code == HTTPStatus.UNAUTHORIZED:
            return fail(
                f"The client key ({whose}) is not known here (401).",
                "Show the clients there are: relay keys list - and make one a new key: relay keys "
                "rotate NAME. The stack's output ShowClientKey prints the first key.",
            )
        if reply.status_code not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            return refused(reply)
        self._usage = reply.json() if reply.status_code == HTTPStatus.OK else {}
        return ok(f"accepted ({whose})")

    def call(self) -> Finding:
        """Whether a small question is answered."""
        reply = self._ask("POST", CHAT, small_chat_body(self._chosen_model(), stream=False))
        if reply.status_code != HTTPStatus.OK:
            return refused(reply)
        told = reply.headers
        return ok(
            f"answered in {reply.elapsed.total_seconds() * 1000:.0f} ms, of which "
            f"{told.get('x-relay-overhead-ms')} ms are the relay's, in "
            f"{told.get('x-relay-attempts')} attempt(s)"
        )

    def stream(self, of_provider: Finding | None) -> Finding:
        """Whether a stream comes as it is made, which shows beside how the provider sends it."""
        started, pieces = time.monotonic(), list[bytes]()
        question = small_chat_body(self._chosen_model(), stream=True)
        with self._ask("POST", CHAT, question, stream=True) as reply:
            if reply.status_code != HTTPStatus.OK:
                return refused(reply)
            arrival = measure_stream(kept(pieces_of(reply), pieces), started)
        if of_provider and of_provider.state != OK:
            return not_checked("it needs 'provider stream'")
        if arrival is None or b"[DONE]" not in b"".join(pieces):
            return fail("The stream broke off.", f"See why: {LOGS}")
        if self._stack.parameter("Streaming") == "off":
            return warn("Streaming is off: streams are answered whole.", TURN_ON)
        seconds = (of_provider and of_provider.seconds) or 0.0
        if seconds > TELLING_SECONDS and arrival.spread_seconds < LEAST_SHARE * seconds:
            return held_back(arrival)
        return ok(str(arrival))

    def clock(self) -> Finding:
        """Whether this machine and AWS agree on the time, which signatures need."""
        seconds = clock_skew(self._date)
        if seconds is None:
            return ok("the API does not tell its own")
        if abs(seconds) <= WARN_SKEW_SECONDS:
            return ok("agrees with the API's")
        judge = fail if abs(seconds) >= MAX_SIGNATURE_SKEW_SECONDS else warn
        return judge(
            f"The clock of this machine is {describe_skew(seconds)} the API's; AWS refuses "
            f"signatures {MAX_SIGNATURE_SKEW_SECONDS} s off.",
            "Set it: timedatectl set-ntp true",
        )

    def budget(self) -> Finding:
        """Whether the client may still spend something."""
        budget = self._usage.get("budget")
        if not budget:
            return ok("the client key has none")
        whole, left, per = budget["usd"], budget["remaining_usd"], budget["per"]
        says = f"{left:g} of {whole:g} USD per {per} are left"
        fix = (
            f"It starts afresh at {budget['resets_at']}. For more, make the client anew: relay "
            "keys create NAME --budget-usd USD"
        )
        if left <= 0:
            return fail(f"{says}: the budget is used up.", fix)
        return warn(f"{says}.", fix) if left < LITTLE * whole else ok(says)

    def _base_url(self) -> str:
        if self._stack.door:
            return self._stack.door.base_url
        if url := self._stack.description.outputs.get("OpenAIBaseUrl"):
            return url
        raise click.ClickException("The stack has no output OpenAIBaseUrl: Run 'sam deploy'.")

    def _key(self) -> tuple[str, str]:
        """A client key, and where it is from."""
        if self._given:
            return self._given, "--client-key"
        if self._stack.door:
            return self._stack.door.client_key, "the local stack's"
        for name in KEY_VARIABLES:
            if key := os.environ.get(name):
                return key, name
        made = self._stack.api_gateway().get_api_key(
            apiKey=self._stack.resource("ClientKey"), includeValue=True
        )
        return made["value"], "the stack's first"

    def _chosen_model(self) -> str:
        if not self._model:
            self._model = DEFAULT_MODELS.get(self._stack.parameter("ProviderDialect"))
        if not self._model:
            self._model = str(self._ask("GET", "/models").json()["data"][0]["id"])
        return self._model

    def _ask(
        self, method: str, path: str, body: Any = None, *, stream: bool = False
    ) -> requests.Response:
        return self._session.request(
            method, self._base_url() + path, json=body, timeout=TIMEOUT, stream=stream
        )


def held_back(arrival: StreamTiming) -> Finding:
    """A provider streams, and its stream comes whole."""
    return fail(
        f"The provider streams, and its stream comes whole, at its end ({arrival}).",
        "Something buffers on the way: a proxy between you and the API, or a runtime that the "
        f"streaming shim does not fit (it then says so: {LOGS}).",
    )


def refused(reply: requests.Response) -> Finding:
    """The API's own words, which say what to do."""
    return fail(f"The API answers {reply.status_code} {code_of(reply)}".rstrip() + ".", said(reply))


def said(reply: requests.Response) -> str:
    """What an error says."""
    return str(error_of(reply).get("message") or "It gives no reason: see the functions' logs.")


def code_of(reply: requests.Response) -> str:
    """The code of an error."""
    return str(error_of(reply).get("code") or "")


def error_of(reply: requests.Response) -> dict[str, Any]:
    """An error in OpenAI's shape, empty if it is none."""
    try:
        error = reply.json()["error"]
    except (ValueError, LookupError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def pieces_of(reply: requests.Response) -> Iterator[bytes]:
    """A stream as it comes; requests itself would wait for more."""
    while piece := reply.raw.read1(PIECE_BYTES, decode_content=True):
        yield piece


def kept(pieces: Iterator[bytes], store: list[bytes]) -> Iterator[bytes]:
    """The same pieces, of which a copy is kept."""
    for piece in pieces:
        store.append(piece)
        yield piece

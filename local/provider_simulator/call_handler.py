"""Decide the answer to each request, and record the calls."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from local.provider_simulator import checks, faults, models
from local.provider_simulator.content import prompts
from local.provider_simulator.content.answers import answer
from local.provider_simulator.endpoints.chat import ChatCompletion
from local.provider_simulator.endpoints.completion import Completion
from local.provider_simulator.endpoints.responses import Response
from local.provider_simulator.metering import CreditPool, RateWindow, count_request
from local.provider_simulator.switches import FAILURES, Switches, parse_switches
from local.provider_simulator.wire import Json, ProviderError, ProviderRequest, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A received request; status 0 means that the connection closed without an answer."""

    path: str
    model: str
    status: int
    switches: Mapping[str, str]


class Endpoint(NamedTuple):
    """How one route validates and parses its body, and formats its answer."""

    check: Callable[[Json, Switches], None]
    read: Callable[[Json], prompts.Prompt]
    completion: type[Completion]


MODELS = ("GET", "/v1/models")
CHAT = Endpoint(checks.check_chat, prompts.from_chat, ChatCompletion)
RESPONSES = Endpoint(checks.check_responses, prompts.from_responses, Response)
ENDPOINTS = {("POST", "/v1/chat/completions"): CHAT, ("POST", "/v1/responses"): RESPONSES}


@dataclass(slots=True)
class CallHandler:
    """Answer requests without a network; `rate_limit` is per key and minute, 0 for unlimited.

    Assign `key`, the only accepted API key, to rotate it. `calls` has all requests in order.
    """

    key: str
    rate_limit: int = 0
    defaults: Mapping[str, str] = field(default_factory=dict)  # of switches
    calls: list[Call] = field(default_factory=list)
    _failures: Counter[str] = field(default_factory=Counter)
    _credits: dict[str, CreditPool] = field(default_factory=dict)
    _windows: dict[str, RateWindow] = field(default_factory=dict)
    _number: int = 0

    def clear(self) -> None:
        """Clear all recorded calls, failure counts, credits and rate windows."""
        for records in (self.calls, self._failures, self._credits, self._windows):
            records.clear()

    def reply(self, incoming: ProviderRequest) -> tuple[Reply, Switches]:
        """Decide and record the answer to a request; return it with the switches for sending it."""
        self._number += 1
        try:
            switches = self._limit_failures(parse_switches(incoming.switches, self.defaults))
            reply = self._answer_or_error(incoming, switches)
        except ProviderError as error:  # a switch is invalid
            switches, reply = Switches(), error.reply("openai")
        status = 0 if switches["fault"] in faults.NO_ANSWER else reply.status
        model = str((incoming.body or {}).get("model", ""))
        call = Call(path=incoming.path, model=model, status=status, switches=switches.given)
        self.calls.append(call)
        return reply, switches

    def _limit_failures(self, switches: Switches) -> Switches:
        """Remove the failure switches once `times` calls have failed."""
        times = switches.number("times")
        if not times or not any(name in switches.given for name in FAILURES):
            return switches
        self._failures[switches.group] += 1
        return switches if self._failures[switches.group] <= times else switches.without_failures()

    def _answer_or_error(self, incoming: ProviderRequest, switches: Switches) -> Reply:
        limit = switches.number("rate-limit")
        name = f"switches {switches.group}" if limit else f"key {incoming.key}"
        window = count_request(self._windows, name, limit or self.rate_limit)
        headers = {}
        try:
            reply = self._answer(incoming, switches, window)
        except ProviderError as error:
            reply = error.reply(switches["error-body"])
            headers = window.retry_after(error.status, switches["retry-after"])
        headers |= window.headers()
        if switches["request-id"] != "none":
            headers[switches["request-id"]] = f"req_sim{self._number:06d}"
        return replace(reply, headers=headers)

    def _answer(self, incoming: ProviderRequest, switches: Switches, window: RateWindow) -> Reply:
        route = (incoming.method, incoming.path)
        if route != MODELS and route not in ENDPOINTS:
            raise ProviderError(404)
        if incoming.key != self.key:
            raise ProviderError(401)
        status = switches.number("status")
        if status != faults.SUCCESS and switches["first-event"] == "ok":
            raise ProviderError(status)
        if window.is_exceeded():
            raise ProviderError(429)
        if route == MODELS:
            listing = models.listing(locks=switches.on("locked-models"))
            return faults.buffered_reply(listing, switches)
        if incoming.body is None:
            raise ProviderError(400, "The body must be a JSON object.")
        completion = self._complete(ENDPOINTS[route], incoming.body, switches)
        window.tokens += completion.answer.total_tokens
        if incoming.body.get("stream") and not switches.on("stream-ignored"):
            return faults.stream_reply(completion.steps(), switches)
        return faults.buffered_reply(completion.body(), switches)

    def _complete(self, endpoint: Endpoint, body: Json, switches: Switches) -> Completion:
        name, pool = "", CreditPool()
        if switches["credits-left"] != "auto":
            name, pool = switches.group, CreditPool(switches.number("credits-left"))
        pool = self._credits.setdefault(name, pool)
        if pool.credits <= 0:
            raise ProviderError(402)
        endpoint.check(body, switches)
        prompt = endpoint.read(body)
        result = answer(prompt, switches)
        return endpoint.completion(
            number=self._number,
            model=body["model"],
            prompt=prompt,
            answer=result,
            credits=pool.spend(result.total_tokens),
            switches=switches,
        )

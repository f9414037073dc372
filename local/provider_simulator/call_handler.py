"""Decide the answer to each request, and record the calls."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from local.provider_simulator import checks, faults, models
from local.provider_simulator.content import prompts
from local.provider_simulator.content.answers import answer
from local.provider_simulator.endpoints import chat, responses
from local.provider_simulator.endpoints.completion import Completion
from local.provider_simulator.errors import ProviderError, error_reply
from local.provider_simulator.metering import (
    STARTING_CREDITS,
    CreditBalance,
    RateWindow,
    RateWindows,
    answer_headers,
    retry_after,
)
from local.provider_simulator.switches import FAILURES, Switches, parse_switches
from local.provider_simulator.wire import (
    JSON_TYPE,
    STREAM_TYPE,
    Json,
    ProviderRequest,
    Reply,
    Step,
    complete_reply,
    encode,
)

SUCCESS = 200
FIRST_EVENT_STATUS = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A received request; status 0 means that the connection closed without an answer."""

    path: str
    model: str
    status: int
    switches: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How one route validates and parses its body and formats its answer."""

    check: Callable[[Json, Switches], None]
    read: Callable[[Json], prompts.Prompt]
    body: Callable[[Completion], Json]
    steps: Callable[[Completion], list[Step]]


CHAT = Endpoint(check=checks.check_chat, read=prompts.from_chat, body=chat.body, steps=chat.steps)
RESPONSES = Endpoint(
    check=checks.check_responses,
    read=prompts.from_responses,
    body=responses.body,
    steps=responses.steps,
)
ENDPOINTS = {("POST", "/v1/chat/completions"): CHAT, ("POST", "/v1/responses"): RESPONSES}
MODELS = ("GET", "/v1/models")


@dataclass(slots=True)
class CallHandler:
    """Answer requests without a network; `rate_limit` is per key and minute, 0 for unlimited."""

    key: str
    rate_limit: int = 0
    calls: list[Call] = field(default_factory=list)
    _failures: Counter[str] = field(default_factory=Counter)
    _credits: CreditBalance = field(default_factory=CreditBalance)
    _windows: RateWindows = field(default_factory=RateWindows)
    _number: int = 0

    def clear(self) -> None:
        """Clear all recorded calls, failure counts, credits and rate windows."""
        self.calls.clear()
        self._failures.clear()
        self._credits, self._windows = CreditBalance(), RateWindows()

    def reply(self, incoming: ProviderRequest) -> tuple[Reply, Switches]:
        """Decide and record the answer to a request; return it with the switches for sending it."""
        self._number += 1
        switches = Switches()
        try:
            switches = self._limit_failures(parse_switches(incoming.switches))
        except ProviderError as error:
            reply = error_reply(error, "openai")
        else:
            reply = self._answer_or_error(incoming, switches)
        status = 0 if switches["fault"] in faults.NO_ANSWER else reply.status
        call = Call(
            path=incoming.path, model=incoming.model, status=status, switches=switches.given
        )
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
        window = self._windows.count_request(name, limit or self.rate_limit)
        try:
            reply = self._answer(incoming, switches, window)
        except ProviderError as error:
            reply = error_reply(error, switches["error-body"])
            reply = replace(reply, headers=retry_after(error.status, switches, window))
        headers = {**answer_headers(self._number, switches, window), **reply.headers}
        return replace(reply, headers=headers)

    def _answer(self, incoming: ProviderRequest, switches: Switches, window: RateWindow) -> Reply:
        route = (incoming.method, incoming.path)
        if route != MODELS and route not in ENDPOINTS:
            raise ProviderError(404)
        if incoming.key != self.key:
            raise ProviderError(401)
        status = switches.number("status")
        if status != SUCCESS and switches["first-event"] == "ok":
            raise ProviderError(status)
        if window.is_exceeded():
            raise ProviderError(429)
        if route == MODELS:
            listing = models.listing(locks=switches.on("locked-models"))
            return faults.delayed_or_broken_body(_json(listing), switches)
        if incoming.body is None:
            raise ProviderError(400, "The body must be a JSON object.")
        return self._generate(ENDPOINTS[route], incoming.body, switches, window)

    def _generate(
        self, endpoint: Endpoint, body: Json, switches: Switches, window: RateWindow
    ) -> Reply:
        pool, start = "", STARTING_CREDITS
        if switches["credits-left"] != "auto":
            pool, start = switches.group, switches.number("credits-left")
        self._credits.check(pool, start)
        endpoint.check(body, switches)
        prompt = endpoint.read(body)
        result = answer(prompt, switches)
        window.tokens += result.total_tokens
        completion = Completion(
            number=self._number,
            model=body["model"],
            prompt=prompt,
            answer=result,
            charge=self._credits.spend(pool, result.total_tokens),
            switches=switches,
            wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        )
        if body.get("stream") and not switches.on("stream-ignored"):
            return _stream(endpoint.steps(completion), switches)
        return faults.delayed_or_broken_body(_json(endpoint.body(completion)), switches)


def _json(value: Json) -> Reply:
    return complete_reply(SUCCESS, JSON_TYPE, encode(value))


def _stream(steps: list[Step], switches: Switches) -> Reply:
    if switches["first-event"] == "error":
        status = switches.number("status")
        steps = [faults.first_event_error(FIRST_EVENT_STATUS if status == SUCCESS else status)]
    steps = faults.broken_stream(faults.delayed(steps, switches), switches)
    return Reply(status=SUCCESS, steps=steps, content_type=STREAM_TYPE)

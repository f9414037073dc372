"""Decides how each request is answered, and keeps count."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from local.provider_simulator import checks, faults, models
from local.provider_simulator.content import questions
from local.provider_simulator.content.answers import answer
from local.provider_simulator.errors import ProviderError, error_reply
from local.provider_simulator.headers import answer_headers, retry_after
from local.provider_simulator.metering import STARTING_CREDITS, CreditBalance, Window, Windows
from local.provider_simulator.request import ProviderRequest
from local.provider_simulator.surfaces import chat, responses
from local.provider_simulator.surfaces.turn import CompletedTurn
from local.provider_simulator.switches import FAILURES, Switches, read_switches
from local.provider_simulator.wire import JSON_TYPE, STREAM_TYPE, Json, Reply, Step, encode, whole

SUCCESS = 200
FIRST_EVENT_STATUS = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that arrived; status 0 means that it got no answer at all."""

    path: str
    model: str
    status: int
    switches: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How one route checks and reads its body and shapes its answer."""

    check: Callable[[Json, Switches], None]
    read: Callable[[Json], questions.Prompt]
    body: Callable[[CompletedTurn], Json]
    steps: Callable[[CompletedTurn], list[Step]]


CHAT = Endpoint(check=checks.check_chat, read=questions.from_chat, body=chat.body, steps=chat.steps)
RESPONSES = Endpoint(
    check=checks.check_responses,
    read=questions.from_responses,
    body=responses.body,
    steps=responses.steps,
)
ENDPOINTS = {("POST", "/v1/chat/completions"): CHAT, ("POST", "/v1/responses"): RESPONSES}
MODELS = ("GET", "/v1/models")


@dataclass(slots=True)
class CallHandler:
    """Answers requests without a network; `rate_limit` is per key and minute, 0 for none."""

    key: str
    rate_limit: int = 0
    calls: list[Call] = field(default_factory=list)
    _failures: Counter[str] = field(default_factory=Counter)
    _purse: CreditBalance = field(default_factory=CreditBalance)
    _windows: Windows = field(default_factory=Windows)
    _number: int = 0

    def forget(self) -> None:
        """Forget every call, and with them all counts, credits and rate windows."""
        self.calls.clear()
        self._failures.clear()
        self._purse, self._windows = CreditBalance(), Windows()

    def reply(self, incoming: ProviderRequest) -> tuple[Reply, Switches]:
        """Decide and record the answer to a request; the switches say how to send it."""
        self._number += 1
        switches = Switches()
        try:
            switches = self._due(read_switches(incoming.switches))
        except ProviderError as error:
            reply = error_reply(error, "openai")
        else:
            reply = self._answer_or_refuse(incoming, switches)
        status = 0 if switches["fault"] in faults.SILENT else reply.status
        call = Call(
            path=incoming.path, model=incoming.model, status=status, switches=switches.given
        )
        self.calls.append(call)
        return reply, switches

    def _due(self, switches: Switches) -> Switches:
        """Take the failures out of switches that have already failed as often as they ask."""
        times = switches.number("times")
        if not times or not any(name in switches.given for name in FAILURES):
            return switches
        self._failures[switches.group] += 1
        return switches if self._failures[switches.group] <= times else switches.without_failures()

    def _answer_or_refuse(self, incoming: ProviderRequest, switches: Switches) -> Reply:
        limit = switches.number("rate-limit")
        name = f"switches {switches.group}" if limit else f"key {incoming.key}"
        window = self._windows.enter(name, limit or self.rate_limit)
        try:
            reply = self._answer(incoming, switches, window)
        except ProviderError as error:
            reply = error_reply(error, switches["error-body"])
            reply = replace(reply, headers=retry_after(error.status, switches, window))
        headers = {**answer_headers(self._number, switches, window), **reply.headers}
        return replace(reply, headers=headers)

    def _answer(self, incoming: ProviderRequest, switches: Switches, window: Window) -> Reply:
        route = (incoming.method, incoming.path)
        if route != MODELS and route not in ENDPOINTS:
            raise ProviderError(404)
        if incoming.key != self.key:
            raise ProviderError(401)
        status = switches.number("status")
        if status != SUCCESS and switches["first-event"] == "ok":
            raise ProviderError(status)
        if window.is_over():
            raise ProviderError(429)
        if route == MODELS:
            listing = models.listing(locks=switches.on("locked-models"))
            return faults.slow_or_broken_body(_json(listing), switches)
        if incoming.body is None:
            raise ProviderError(400, "The body must be a JSON object.")
        return self._generate(ENDPOINTS[route], incoming.body, switches, window)

    def _generate(
        self, endpoint: Endpoint, body: Json, switches: Switches, window: Window
    ) -> Reply:
        pool, start = "", STARTING_CREDITS
        if switches["credits-left"] != "auto":
            pool, start = switches.group, switches.number("credits-left")
        self._purse.check(pool, start)
        endpoint.check(body, switches)
        question = endpoint.read(body)
        said = answer(question, switches)
        window.tokens += said.total_tokens
        turn = CompletedTurn(
            number=self._number,
            model=body["model"],
            question=question,
            answer=said,
            charge=self._purse.spend(pool, said.total_tokens),
            switches=switches,
            wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        )
        if body.get("stream") and not switches.on("stream-ignored"):
            return _stream(endpoint.steps(turn), switches)
        return faults.slow_or_broken_body(_json(endpoint.body(turn)), switches)


def _json(value: Json) -> Reply:
    return whole(SUCCESS, JSON_TYPE, encode(value))


def _stream(steps: list[Step], switches: Switches) -> Reply:
    if switches["first-event"] == "error":
        status = switches.number("status")
        steps = [faults.first_event_error(FIRST_EVENT_STATUS if status == SUCCESS else status)]
    steps = faults.broken_stream(faults.paced(steps, switches), switches)
    return Reply(status=SUCCESS, steps=steps, content_type=STREAM_TYPE)

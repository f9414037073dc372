"""One line per request, log and metrics at once; never a prompt, an answer or a key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import safe_header_value
from llm_relay.core.errors import BudgetExceeded, Fault, ProviderKeyRejected, RelayError
from llm_relay.core.usage import Usage
from llm_relay.observability.metrics import emit_metrics
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.billing.ledger import Settlement

_CLIENT_ERROR = 400
_CALLER_LEFT = "caller_left"  # who stops reading a stream does not complain of anything
_FAULTS = {
    Fault.CALLER: "ClientErrors",
    Fault.RELAY: "RelayErrors",
    Fault.PROVIDER: "ProviderErrors",
}
# Failures that somebody has to do something about.
_OF_THEIR_OWN: dict[type[RelayError], str] = {
    ProviderKeyRejected: "ProviderKeyRejected",
    BudgetExceeded: "BudgetRefused",
}


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """What there is to tell of one request."""

    route: str
    request_id: str
    client: str
    model: str | None = None  # as the provider names it: what callers write is unbounded
    stream: bool = False
    replayed: bool = False  # answered from what was kept under an Idempotency-Key
    usage: Usage = field(default_factory=Usage)
    tracker: AttemptTracker = field(default_factory=AttemptTracker)
    provider_request_id: str | None = None
    dropped: tuple[str, ...] = ()  # paths of what the provider would not have taken
    first_byte_seconds: float | None = None
    overhead_seconds: float | None = None  # our share of the time to the first byte
    settlement: Settlement | None = None  # of a client with a budget
    price: Callable[[Usage, str | None], Usage] = field(default=lambda usage, _model: usage)
    _started: float = field(default_factory=time.monotonic)
    _told: bool = False

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the caller what the relay did."""
        headers = {
            "x-request-id": self.request_id,
            "x-relay-attempts": str(self.tracker.attempts),
            "x-relay-overhead-ms": f"{self._overhead_seconds() * 1000:.1f}",
        }
        if self.tracker.provider:
            headers["x-relay-provider"] = self.tracker.provider
        if self.provider_request_id:
            headers["x-upstream-request-id"] = safe_header_value(self.provider_request_id)
        if self.dropped:
            headers["x-relay-dropped"] = safe_header_value(", ".join(self.dropped))
        return headers

    def record_usage(self, usage: Usage, model: str | None) -> None:
        """Keep what the call used, at its price."""
        self.model = model
        self.usage = self.price(usage, model)

    def mark_first_byte(self) -> None:
        """Keep the moment at which the caller gets the first byte of the answer."""
        self.first_byte_seconds = time.monotonic() - self._started
        self.overhead_seconds = self._overhead_seconds()

    def finish(
        self,
        status: int,
        code: str | None = None,
        *,
        failure: RelayError | None = None,
        possibly_billed: bool = True,
    ) -> None:
        """Charge the call and tell of it, once, however it ended."""
        if self._told:
            return
        self._told = True
        if self.settlement:
            self.settlement.settle(self.usage, self.model, possibly_billed=possibly_billed)
        times = self._times()
        facts = self._facts(status, code) | times
        figures = self._figures(times) | _failures(status, code, failure)
        emit_metrics("request", _known(facts), figures, self._dimensions())

    def _overhead_seconds(self) -> float:
        return max(0.0, time.monotonic() - self._started - self.tracker.waiting_seconds)

    def _times(self) -> dict[str, float | None]:
        return {
            "first_byte_ms": _milliseconds(self.first_byte_seconds),
            "overhead_ms": _milliseconds(self.overhead_seconds),
            "upstream_ms": _milliseconds(self.tracker.waiting_seconds),
            "total_ms": _milliseconds(time.monotonic() - self._started),
        }

    def _facts(self, status: int, code: str | None) -> dict[str, Any]:
        return {
            "route": self.route,
            "request_id": self.request_id,
            "provider": self.tracker.provider or None,
            "provider_request_id": self.provider_request_id,
            "client": self.client,
            "model": self.model,
            "stream": self.stream,
            "replayed": self.replayed or None,
            "status": int(status),
            "code": code,
            "attempts": self.tracker.attempts,
            "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out,
            "cost_usd": self.usage.cost_usd,
        }

    def _figures(self, times: dict[str, float | None]) -> dict[str, float | None]:
        figures = {
            "Requests": 1,
            "TotalTime": times["total_ms"],
            "BudgetHolds": 1 if self.settlement else None,
        }
        if not self.tracker.attempts:  # what nobody had to wait for would flatter the percentiles
            return figures
        return figures | {
            "Attempts": self.tracker.attempts,
            "RateLimited": self.tracker.rate_limited or None,
            "TokensIn": self.usage.tokens_in,
            "TokensOut": self.usage.tokens_out,
            "CostUsd": self.usage.cost_usd,
            "TimeToFirstByte": times["first_byte_ms"],
            "OverheadTime": times["overhead_ms"],
            "UpstreamTime": times["upstream_ms"],
        }

    def _dimensions(self) -> dict[str, str]:
        """Return what is counted apart; clients are not, as each would be paid for as a metric."""
        return {"route": self.route, "model": self.model} if self.model else {"route": self.route}


def _failures(status: int, code: str | None, failure: RelayError | None) -> dict[str, int]:
    if not code and status < _CLIENT_ERROR:
        return {}
    if code == _CALLER_LEFT:
        return {"Failures": 1}
    # A stream that the provider itself has ended with a failure raises none.
    fault = failure.fault if failure else Fault.PROVIDER
    told = {"Failures": 1, _FAULTS[fault]: 1}
    if failure and (name := _OF_THEIR_OWN.get(type(failure))):
        told[name] = 1
    return told


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)

"""Records one call as one line, log and metrics at once, without prompt, answer or key."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.core.answer import safe_header_value
from llm_relay.core.errors import BudgetExceeded, Fault, ProviderKeyRejected, RelayError
from llm_relay.core.usage import Usage
from llm_relay.observability.metrics import emit_metrics
from llm_relay.providers.client import AttemptTracker

if TYPE_CHECKING:
    from llm_relay.billing.ledger import Settlement

_CALLER_LEFT = "caller_left"  # not an error
_FAULT_METRICS = {
    Fault.CALLER: "ClientErrors",
    Fault.RELAY: "RelayErrors",
    Fault.PROVIDER: "ProviderErrors",
}
# Failures with a metric of their own, as the operator has to act on them.
_FAILURE_METRICS: dict[type[RelayError], str] = {
    ProviderKeyRejected: "ProviderKeyRejected",
    BudgetExceeded: "BudgetRefused",
}


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """The facts of one call; finishing it settles the budget and writes its log line."""

    route: str
    request_id: str
    client: str
    model: str | None = None  # the provider's name: what callers request is unbounded
    stream: bool = False
    replayed: bool = False  # answered from a stored answer
    usage: Usage = field(default_factory=Usage)
    tracker: AttemptTracker = field(default_factory=AttemptTracker)
    provider_request_id: str | None = None
    dropped: tuple[str, ...] = ()  # paths of fields that the provider does not support
    settlement: Settlement | None = None  # for a client with a budget
    price: Callable[[Usage, str | None], Usage] = field(default=lambda usage, _model: usage)
    _started: float = field(default_factory=time.monotonic)
    _first_byte_times: dict[str, float] = field(default_factory=dict)
    _is_finished: bool = False

    def headers(self) -> dict[str, str]:
        """Return the response headers that describe the call."""
        headers = {
            "x-request-id": self.request_id,
            "x-relay-attempts": str(self.tracker.attempts),
            "x-relay-overhead-ms": f"{self._overhead_ms():.1f}",
        }
        if self.tracker.provider:
            headers["x-relay-provider"] = self.tracker.provider
        if self.provider_request_id:
            headers["x-upstream-request-id"] = safe_header_value(self.provider_request_id)
        if self.dropped:
            headers["x-relay-dropped"] = safe_header_value(", ".join(self.dropped))
        return headers

    def record_usage(self, usage: Usage, model: str | None) -> None:
        """Record the usage of the call, with its cost."""
        self.model = model
        self.usage = self.price(usage, model)

    def mark_first_byte(self) -> None:
        """Record the time at which the caller gets the first byte of the answer."""
        self._first_byte_times = {
            "first_byte_ms": _milliseconds(time.monotonic() - self._started),
            "overhead_ms": self._overhead_ms(),
        }

    def finish(
        self,
        status: int,
        code: str | None = None,
        *,
        failure: RelayError | None = None,
        possibly_billed: bool = True,
    ) -> None:
        """Settle the reservation and write the line, once, whatever the outcome."""
        if self._is_finished:
            return
        self._is_finished = True
        if self.settlement:
            self.settlement.settle(self.usage, self.model, possibly_billed=possibly_billed)
        times = self._first_byte_times | {
            "upstream_ms": _milliseconds(self.tracker.waiting_seconds),
            "total_ms": _milliseconds(time.monotonic() - self._started),
        }
        fields = self._fields(status, code) | times
        known = {name: value for name, value in fields.items() if value is not None}
        metrics = self._metrics(times) | _failure_metrics(status, code, failure)
        # Clients are no dimension: each would cost as much as a metric.
        dimensions = {"route": self.route} | ({"model": self.model} if self.model else {})
        emit_metrics("request", known, metrics, dimensions)

    def _overhead_ms(self) -> float:
        """Return the relay's share of the time so far."""
        seconds = time.monotonic() - self._started - self.tracker.waiting_seconds
        return _milliseconds(max(0.0, seconds))

    def _fields(self, status: int, code: str | None) -> dict[str, Any]:
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

    def _metrics(self, times: dict[str, float]) -> dict[str, float | None]:
        metrics = {
            "Requests": 1,
            "TotalTime": times["total_ms"],
            "BudgetReservations": 1 if self.settlement else None,
        }
        if not self.tracker.attempts:  # calls that wait for no provider would distort percentiles
            return metrics
        return metrics | {
            "Attempts": self.tracker.attempts,
            "RateLimited": self.tracker.rate_limited or None,
            "TokensIn": self.usage.tokens_in,
            "TokensOut": self.usage.tokens_out,
            "CostUsd": self.usage.cost_usd,
            "TimeToFirstByte": times.get("first_byte_ms"),
            "OverheadTime": times.get("overhead_ms"),
            "UpstreamTime": times["upstream_ms"],
        }


def _failure_metrics(status: int, code: str | None, failure: RelayError | None) -> dict[str, int]:
    if not code and status < HTTPStatus.BAD_REQUEST:
        return {}
    if code == _CALLER_LEFT:
        return {"Failures": 1}
    # A stream that the provider ends with a failure raises none.
    fault = failure.fault if failure else Fault.PROVIDER
    metrics = {"Failures": 1, _FAULT_METRICS[fault]: 1}
    if failure and (name := _FAILURE_METRICS.get(type(failure))):
        metrics[name] = 1
    return metrics


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)

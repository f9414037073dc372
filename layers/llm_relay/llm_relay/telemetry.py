"""One log line and one set of metrics per request; never a prompt, an answer or a key."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from llm_relay.provider import Effort
from llm_relay.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.charge import Charge

_LONGEST_HEADER = 1000
_CLIENT_ERROR = 400

# Calls may end side by side, and the metrics and the log's lines are shared by all threads.
_TELLING = threading.Lock()


@dataclass(slots=True, kw_only=True)
class Call:
    """What there is to tell of one request."""

    route: str
    request_id: str
    client: str
    model: str | None = None  # as the provider names it: what callers write is unbounded
    stream: bool = False
    replayed: bool = False  # answered from what was kept under an Idempotency-Key
    usage: Usage = field(default_factory=Usage)
    effort: Effort = field(default_factory=Effort)
    provider_request_id: str | None = None
    dropped: tuple[str, ...] = ()  # paths of what the provider would not have taken
    first_byte_seconds: float | None = None
    charge: Charge | None = None  # of a client with a budget
    price: Callable[[Usage, str | None], Usage] = field(default=lambda usage, _model: usage)
    _started: float = field(default_factory=time.monotonic)
    _told: bool = False

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the caller what the relay did."""
        headers = {
            "x-request-id": self.request_id,
            "x-relay-attempts": str(self.effort.attempts),
            "x-relay-overhead-ms": f"{self._overhead_seconds() * 1000:.1f}",
        }
        if self.provider_request_id:
            headers["x-upstream-request-id"] = self.provider_request_id
        if self.dropped:
            headers["x-relay-dropped"] = header_text(", ".join(self.dropped))
        return headers

    def settle(self, usage: Usage, model: str | None) -> None:
        """Keep what the call used, at its price."""
        self.model = model
        self.usage = self.price(usage, model)

    def note_first_byte(self) -> None:
        """Keep the moment at which the caller gets the first byte of the answer."""
        self.first_byte_seconds = time.monotonic() - self._started

    def finish(self, status: int, code: str | None = None, *, may_be_paid: bool = True) -> None:
        """Charge the call and tell of it, once, however it ended."""
        if self._told:
            return
        self._told = True
        if self.charge:
            self.charge.pay(self.usage, self.model, may_be_paid=may_be_paid)
        seconds = time.monotonic() - self._started
        facts = self._facts(status, code, seconds)
        with _TELLING:
            _logger().info("request", extra=facts)
            self._measure(status, code, seconds)

    def _overhead_seconds(self) -> float:
        return max(0.0, time.monotonic() - self._started - self.effort.waiting_seconds)

    def _facts(self, status: int, code: str | None, seconds: float) -> dict[str, Any]:
        facts = {
            "route": self.route,
            "request_id": self.request_id,
            "provider_request_id": self.provider_request_id,
            "client": self.client,
            "model": self.model,
            "stream": self.stream,
            "replayed": self.replayed or None,
            "status": int(status),
            "code": code,
            "attempts": self.effort.attempts,
            "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out,
            "cost_usd": self.usage.cost_usd,
            "first_byte_ms": _milliseconds(self.first_byte_seconds),
            "upstream_ms": _milliseconds(self.effort.waiting_seconds),
            "total_ms": _milliseconds(seconds),
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    def _measure(self, status: int, code: str | None, seconds: float) -> None:
        metrics = _metrics()
        metrics.clear_metrics()  # of a call that broke off here
        metrics.add_dimension("route", self.route)
        metrics.add_dimension("model", self.model or "none")
        metrics.add_metadata("status", int(status))
        metrics.add_metadata("request_id", self.request_id)
        for name, unit, value in (
            ("Requests", MetricUnit.Count, 1),
            (f"Status{status // 100}xx", MetricUnit.Count, 1),
            ("Failures", MetricUnit.Count, 1 if code or status >= _CLIENT_ERROR else None),
            ("Attempts", MetricUnit.Count, self.effort.attempts),
            ("TokensIn", MetricUnit.Count, self.usage.tokens_in),
            ("TokensOut", MetricUnit.Count, self.usage.tokens_out),
            ("CostUsd", MetricUnit.Count, self.usage.cost_usd),
            ("TimeToFirstByte", MetricUnit.Milliseconds, _milliseconds(self.first_byte_seconds)),
            ("UpstreamTime", MetricUnit.Milliseconds, _milliseconds(self.effort.waiting_seconds)),
            ("TotalTime", MetricUnit.Milliseconds, _milliseconds(seconds)),
        ):
            if value is not None:
                metrics.add_metric(name=name, unit=unit, value=value)
        metrics.flush_metrics()


def header_text(text: str) -> str:
    """Return text that is safe in a header, whatever a caller has put into it."""
    plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
    return plain[:_LONGEST_HEADER]


def log_internal_error(error: Exception, request_id: str) -> None:
    """Log where our own code failed, without the message: it may quote what came in."""
    traceback = error.__traceback__
    places = []
    while traceback:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    facts = {"request_id": request_id, "error": type(error).__name__, "places": places}
    _logger().error("internal error", extra=facts)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()


@lru_cache(maxsize=1)
def _metrics() -> Metrics:
    return Metrics()

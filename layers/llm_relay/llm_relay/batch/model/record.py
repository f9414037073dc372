"""A batch and a file as DynamoDB keeps them, and as OpenAI's API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.billing.money import usd_from_nanos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.client import Client

VALIDATING = "validating"
FAILED = "failed"  # the file has bad lines; no row was run
IN_PROGRESS = "in_progress"
FINALIZING = "finalizing"
COMPLETED = "completed"
EXPIRED = "expired"
CANCELLING = "cancelling"
CANCELLED = "cancelled"
ENDED = frozenset({FAILED, COMPLETED, EXPIRED, CANCELLED})
CANCELLABLE = frozenset({VALIDATING, IN_PROGRESS})

Document = dict[str, Any]

_MAX_MESSAGE_CHARACTERS = 500

_NO_USAGE: Document = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch; times are seconds since the epoch."""

    id: str
    owner: str  # whose batches it is listed with
    client: Client  # what its rows may do and spend, as it was when the batch came
    endpoint: str  # "/v1/chat/completions" or "/v1/responses"
    input_file_id: str
    input_key: str  # in the bucket
    results: str  # what the keys of its results begin with
    created_at: int
    expires_at: int
    status: str = VALIDATING
    completion_window: str = "24h"
    metadata: Mapping[str, str] | None = None
    results_seconds: int | None = None  # how long the results may be asked for
    input_etag: str | None = None  # of the file that came, or was checked; no other is read
    execution: str | None = None  # the one of Step Functions that runs it
    total: int = 0
    completed: int = 0
    failed: int = 0
    errors: tuple[Mapping[str, Any], ...] = ()  # the first hundred
    error_count: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    usage: Mapping[str, Any] | None = None
    cost_nanos: int | None = None
    times: Mapping[str, int] = field(default_factory=dict)  # "completed_at" and the like

    def document(self) -> Document:
        """Return the batch as OpenAI's API shows it, with what it cost besides."""
        shown = {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": self._errors(),
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }
        names = (IN_PROGRESS, FINALIZING, COMPLETED, FAILED, EXPIRED, CANCELLING, CANCELLED)
        ended = {f"{name}_at": self.times.get(f"{name}_at") for name in names}
        counts = {"total": self.total, "completed": self.completed, "failed": self.failed}
        return (
            shown
            | ended
            | {
                "request_counts": counts,
                "usage": dict(self.usage) if self.usage else None,
                "cost_usd": None if self.cost_nanos is None else usd_from_nanos(self.cost_nanos),
                "metadata": dict(self.metadata) if self.metadata is not None else None,
            }
        )

    def _errors(self) -> Document | None:
        if not self.errors:
            return None
        return {"object": "list", "data": list(self.errors), "total": self.error_count}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file; its content lies in the bucket."""

    id: str
    owner: str
    filename: str
    bytes: int
    key: str
    created_at: int
    purpose: str = "batch"
    expires_at: int | None = None

    def is_over(self, now: float) -> bool:
        """Tell whether the file's time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def document(self) -> Document:
        """Return the file as OpenAI's API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


def usage_document(tokens_in: int, cached: int, tokens_out: int, reasoning: int) -> Document:
    """Return what a whole batch used, as OpenAI's API shows it."""
    return _NO_USAGE | {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": tokens_in + tokens_out,
    }


def error_entry(
    code: str, message: str, line: int | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return one of the errors of a batch, as OpenAI's API shows them."""
    return {
        "code": code,
        "line": line,
        "message": message[:_MAX_MESSAGE_CHARACTERS],
        "param": param,
    }

"""The records of batches and files: as stored in DynamoDB, and as OpenAI's API shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_relay.billing.money import usd_from_nanos

if TYPE_CHECKING:
    from llm_relay.core.client import Client

VALIDATING = "validating"
FAILED = "failed"
IN_PROGRESS = "in_progress"
FINALIZING = "finalizing"
COMPLETED = "completed"
EXPIRED = "expired"
CANCELLING = "cancelling"
CANCELLED = "cancelled"
ENDED = frozenset({FAILED, COMPLETED, EXPIRED, CANCELLED})
CANCELLABLE = frozenset({VALIDATING, IN_PROGRESS})

WINDOW_SECONDS = 86_400  # the only completion_window, 24h

Document = dict[str, Any]

_MAX_MESSAGE_CHARACTERS = 500
_TIMED = (IN_PROGRESS, FINALIZING, COMPLETED, FAILED, EXPIRED, CANCELLING, CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch; times are seconds since the epoch. The fields are stored under their names."""

    id: str
    owner: str  # the client that lists the batch
    client: Client  # its permissions and budget when the batch was created
    endpoint: str  # "/v1/chat/completions" or "/v1/responses"
    input_file_id: str
    input_key: str
    results: str  # the prefix of the keys of its results
    created_at: int
    expires_at: int
    status: str = VALIDATING
    completion_window: str = "24h"
    metadata: Mapping[str, str] | None = None
    results_seconds: int | None = None  # the requested lifetime of the result files
    input_etag: str | None = None  # of the only object that may be read under the key
    execution: str | None = None  # the ARN of the Step Functions execution that runs it
    total: int = 0
    completed: int = 0
    failed: int = 0
    errors: tuple[Mapping[str, Any], ...] = ()  # the first hundred
    error_count: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    usage: Mapping[str, Any] | None = None
    cost_nanos: int | None = None
    times: Mapping[str, int] = field(default_factory=dict)  # "completed_at" and others

    def document(self) -> Document:
        """Return the batch in the form of OpenAI's API, with its cost."""
        errors = {"object": "list", "data": list(self.errors), "total": self.error_count}
        counts = {"total": self.total, "completed": self.completed, "failed": self.failed}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": errors if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            **{f"{status}_at": self.times.get(f"{status}_at") for status in _TIMED},
            "request_counts": counts,
            "usage": dict(self.usage) if self.usage else None,
            "cost_usd": None if self.cost_nanos is None else usd_from_nanos(self.cost_nanos),
            "metadata": None if self.metadata is None else dict(self.metadata),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file, whose content is in the bucket. The fields are stored under their names."""

    id: str
    owner: str
    filename: str
    bytes: int
    key: str
    created_at: int
    purpose: str = "batch"
    expires_at: int | None = None

    def is_expired(self, now: float) -> bool:
        """Tell whether the file has expired."""
        return self.expires_at is not None and self.expires_at <= now

    def document(self) -> Document:
        """Return the file in the form of OpenAI's API."""
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


def error_entry(
    code: str, message: str, line: int | None = None, param: str | None = None
) -> Document:
    """Return an entry of a batch's errors in the form of OpenAI's API."""
    shown = message[:_MAX_MESSAGE_CHARACTERS]
    return {"code": code, "line": line, "message": shown, "param": param}


def retention_seconds(requested: int | None = None, days: int | None = None) -> int:
    """Return the lifetime of a file: as requested, but at most `days`.

    The default of `days`, the lifetime of the bucket's objects, is CONTENT_RETENTION_DAYS.
    """
    limit = (days or int(os.environ.get("CONTENT_RETENTION_DAYS", "30"))) * 86_400
    return min(requested or limit, limit)

"""Handles a batch that could not be started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_relay.batch.model.record import FAILED, VALIDATING, error_entry
from llm_relay.core.errors import BatchesUnavailable

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.model.store import Store


def not_started(store: Store, batch: Batch, *, is_repeatable: bool) -> BatchesUnavailable:
    """Return the error for a batch that could not be started.

    A batch that the same request can start later is left as it is, as an earlier one may have
    started it. Any other is stored as failed.
    """
    if is_repeatable:
        return BatchesUnavailable(
            f"The batch {batch.id} is stored, but could not be started. Repeat the request with "
            "the same Idempotency-Key to start it, or cancel it: otherwise it is started when it "
            "is retrieved or listed after five minutes."
        )
    message = "The batch could not be started. No row was run. Submit it again."
    # If it was started nevertheless, its first step finds it failed and ends.
    store.update_batch(
        batch.owner,
        batch.id,
        {VALIDATING},
        {"failed_at": int(time.time())},
        status=FAILED,
        errors=[error_entry("not_started", message)],
        error_count=1,
    )
    return BatchesUnavailable(
        f"The batch {batch.id} could not be started, and none of its rows was run. Submit it "
        "again; if that fails too, check whether Step Functions is reachable."
    )

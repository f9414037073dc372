"""What becomes of a batch that could not be started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_relay.batch.model.record import FAILED, VALIDATING
from llm_relay.core.errors import BatchesUnavailable

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.batch.model.store import Store


def not_started(store: Store, batch: Batch, *, is_repeatable: bool) -> BatchesUnavailable:
    """Return the error for a batch that could not be started.

    One that the same request can start later is left as it is, as that request may have started
    it before. Any other is kept as failed.
    """
    if is_repeatable:
        return BatchesUnavailable(
            f"The batch {batch.id} is kept, but could not be started. Send the same request with "
            "the same Idempotency-Key to start it, or cancel it: otherwise it is started when it "
            "is shown or listed after five minutes."
        )
    _note(store, batch)
    return BatchesUnavailable(
        f"The batch {batch.id} could not be started, and none of its rows was run. Submit it "
        "again; if that fails as well, look whether Step Functions can be reached."
    )


def _note(store: Store, batch: Batch) -> None:
    # Should it have been started all the same, its first step finds it failed and ends.
    store.change(
        batch.owner,
        batch.id,
        {VALIDATING},
        status=FAILED,
        times={"failed_at": int(time.time())},
        error_count=1,
        errors=[
            {
                "code": "not_started",
                "line": None,
                "message": "The batch could not be started. No row was run: submit it again.",
                "param": None,
            }
        ],
    )

"""OpenAI's Batches API."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from llm_relay.api.api_gateway import ApiRequest, client_of
from llm_relay.api.idempotency.records import IDEMPOTENCY_HEADER, idempotency_key
from llm_relay.batch.api import routes, submit
from llm_relay.batch.api.checks import check_batch, expiry_seconds
from llm_relay.batch.api.files import find_file
from llm_relay.batch.model import names
from llm_relay.batch.model.record import WINDOW_SECONDS, Batch, Document
from llm_relay.batch.model.store import store
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import IdempotencyKeyReused, RelayError
from llm_relay.validation.fields import body_object, refuse

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer

_MAX_LISTED = 100
_DEFAULT_LISTED = 20
# As OpenAI's.
_IDEMPOTENCY_KEY_SECONDS = 86_400


def serve_batches(request: ApiRequest) -> HttpAnswer:
    """Answer a request under /v1/batches."""
    return routes.serve(_ROUTES, request)


def _create(request: ApiRequest) -> Document:
    """Create and start a batch, once per Idempotency-Key."""
    fields = body_object(request.body())
    check_batch(fields)
    created_at, owner = time.time(), routes.owner_id(request)
    batch_id = names.new_id("batch_", now=created_at)
    if IDEMPOTENCY_HEADER not in request.headers:
        return _submit(_new_batch(request, fields, batch_id, int(created_at)))
    key = hashlib.sha256(idempotency_key(request).encode()).hexdigest()
    first = _first_request(owner, key, fields, batch_id, int(created_at))
    batch = store().batch(owner, first["batch"])
    try:
        batch = batch or _new_batch(request, fields, first["batch"], first["created_at"])
    except RelayError:  # there is no batch; once there is one, its key is kept
        store().delete_key(owner, key)
        raise
    return _submit(batch, is_repeatable=True)


def _list(request: ApiRequest) -> Document:
    owner, query = routes.owner_id(request), request.query
    return routes.paginate(
        lambda after, limit: [_started(batch) for batch in store().batches(owner, after, limit)],
        routes.parse_after(query, lambda batch_id: store().batch(owner, batch_id) is not None),
        routes.parse_limit(query, _MAX_LISTED, _DEFAULT_LISTED),
    )


def _retrieve(request: ApiRequest) -> Document:
    batch_id = _batch_id(request)
    batch = store().batch(routes.owner_id(request), batch_id)
    if batch is None:
        raise submit.batch_not_found(batch_id)
    return _started(batch).document()


def _cancel(request: ApiRequest) -> Document:
    batch_id = _batch_id(request)
    return submit.cancel(store(), *_state_machine(), routes.owner_id(request), batch_id).document()


def _batch_id(request: ApiRequest) -> str:
    batch_id = routes.path_id(request)
    if not routes.is_valid_id(batch_id):
        raise submit.batch_not_found(batch_id)
    return batch_id


def _new_batch(request: ApiRequest, fields: Document, batch_id: str, created_at: int) -> Batch:
    owner = routes.owner_id(request)
    file = find_file(owner, fields["input_file_id"], "input_file_id")
    if file.purpose != "batch":
        refuse("input_file_id", "must be a file that was uploaded with the purpose 'batch'.")
    return Batch(
        id=batch_id,
        owner=owner,
        client=client_of(request),
        endpoint=fields["endpoint"],
        input_file_id=file.id,
        input_key=file.key,
        results=names.batch_prefix(batch_id),
        created_at=created_at,
        expires_at=created_at + WINDOW_SECONDS,
        metadata=fields.get("metadata"),
        results_seconds=expiry_seconds(fields, "output_expires_after"),
    )


def _first_request(
    owner: str, key: str, fields: Document, batch_id: str, created_at: int
) -> Document:
    """Return the id and the time of the batch from the first request with the key."""
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    ttl = created_at + _IDEMPOTENCY_KEY_SECONDS
    values = {"batch": batch_id, "created_at": created_at, "request": digest, "ttl": ttl}
    first = store().put_key(owner, key, values)
    if first["request"] != digest:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another batch. Use a new key for each batch."
        )
    return first


def _submit(batch: Batch, *, is_repeatable: bool = False) -> Document:
    stored = submit.submit(store(), *_state_machine(), batch, is_repeatable=is_repeatable)
    return stored.document()


def _started(batch: Batch) -> Batch:
    """Return the batch, after starting it if it is stranded."""
    if submit.is_stranded(batch):
        try:
            submit.start(*_state_machine(), batch)
        except Exception as error:  # noqa: BLE001 - the next request for it tries again
            log_internal_error(error, batch.id)
    return batch


def _state_machine() -> tuple[Any, str]:
    """Return the client of Step Functions and the ARN of the state machine."""
    return submit.step_functions(), os.environ["STATE_MACHINE_ARN"]


_ROUTES = {
    "POST /v1/batches": _create,
    "GET /v1/batches": _list,
    "GET /v1/batches/{id}": _retrieve,
    "POST /v1/batches/{id}/cancel": _cancel,
}

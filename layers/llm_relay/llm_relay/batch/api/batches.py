"""OpenAI's Batches API."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from llm_relay.api.client_context import client_of
from llm_relay.api.idempotency.records import IDEMPOTENCY_HEADER, idempotency_key
from llm_relay.batch.api.checks import WINDOW_SECONDS, check_batch
from llm_relay.batch.api.files import file_of
from llm_relay.batch.api.pagination import (
    Document,
    expiry_seconds,
    is_valid_id,
    paginate,
    parse_after,
    parse_limit,
)
from llm_relay.batch.api.routes import owner_id, serve
from llm_relay.batch.api.submit import (
    batch_not_found,
    cancel,
    is_stranded,
    start_stranded,
    step_functions,
    submit,
)
from llm_relay.batch.model import names
from llm_relay.batch.model.record import Batch
from llm_relay.batch.model.store import store
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import IdempotencyKeyReused, RelayError
from llm_relay.validation.fields import body_object, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.batch.api.routes import Route
    from llm_relay.core.answer import HttpAnswer

_MOST_LISTED = 100
_LISTED = 20
# How long a repeated request is known for one, as OpenAI's Idempotency-Keys are.
_KEY_SECONDS = 86_400


def serve_batches(request: ApiRequest) -> HttpAnswer:
    """Answer a request under /v1/batches."""
    return serve(_ROUTES, request)


def create_batch(request: ApiRequest) -> Document:
    """Take on a batch; a request with an Idempotency-Key is one batch, however often it comes."""
    fields = body_object(request.body())
    check_batch(fields)
    created_at, owner = time.time(), owner_id(client_of(request))
    batch_id = names.new_id("batch_", now=created_at)
    if IDEMPOTENCY_HEADER not in request.headers:
        return _submitted(_batch_of(request, fields, batch_id, int(created_at)))
    key = hashlib.sha256(idempotency_key(request).encode()).hexdigest()
    first = _first(owner, key, fields, batch_id, int(created_at))
    batch = store().batch(owner, first["batch"])
    try:
        batch = batch or _batch_of(request, fields, first["batch"], first["created_at"])
    except RelayError:  # there is no batch; once there is one, its key stays with it
        store().forget(owner, key)
        raise
    return _submitted(batch, is_repeatable=True)


def list_batches(request: ApiRequest) -> Document:
    """Return a page of the caller's batches, the newest first."""
    owner, query = owner_id(client_of(request)), request.query
    return paginate(
        lambda after, limit: [_looked_at(batch) for batch in store().batches(owner, after, limit)],
        parse_after(query, lambda batch_id: store().batch(owner, batch_id) is not None),
        parse_limit(query, _MOST_LISTED, _LISTED),
    )


def retrieve_batch(request: ApiRequest) -> Document:
    """Return a batch as it is now."""
    batch_id = _id_in(request)
    batch = store().batch(owner_id(client_of(request)), batch_id)
    if batch is None:
        raise batch_not_found(batch_id)
    return _looked_at(batch).document()


def cancel_batch(request: ApiRequest) -> Document:
    """Let a batch end with the results it has."""
    owner = owner_id(client_of(request))
    return cancel(store(), step_functions(), _state_machine(), owner, _id_in(request)).document()


def _batch_of(request: ApiRequest, fields: Document, batch_id: str, created_at: int) -> Batch:
    client = client_of(request)
    owner = owner_id(client)
    file = file_of(owner, fields["input_file_id"], "input_file_id")
    if file.purpose != "batch":
        refuse("input_file_id", "must be a file that was uploaded with the purpose 'batch'.")
    return Batch(
        id=batch_id,
        owner=owner,
        client=client,
        endpoint=fields["endpoint"],
        input_file_id=file.id,
        input_key=file.key,
        results=names.batch_prefix(batch_id),
        created_at=created_at,
        expires_at=created_at + WINDOW_SECONDS,
        completion_window=fields["completion_window"],
        metadata=fields.get("metadata"),
        results_seconds=expiry_seconds(fields, "output_expires_after"),
    )


def _first(owner: str, key: str, fields: Document, batch_id: str, created_at: int) -> Document:
    """Return the id and the time that the batch has had since its Idempotency-Key came first."""
    said = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    facts = {"batch": batch_id, "created_at": created_at, "request": said}
    first = store().first(owner, key, facts | {"ttl": created_at + _KEY_SECONDS})
    if first["request"] != said:
        raise IdempotencyKeyReused(
            "This Idempotency-Key came before, with another batch. Use a key for one batch alone."
        )
    return first


def _submitted(batch: Batch, *, is_repeatable: bool = False) -> Document:
    places = store(), step_functions(), _state_machine()
    return submit(*places, batch, is_repeatable=is_repeatable).document()


def _looked_at(batch: Batch) -> Batch:
    if is_stranded(batch):
        try:
            start_stranded(step_functions(), _state_machine(), batch)
        except Exception as error:  # noqa: BLE001 - it can be shown, and started at the next look
            log_internal_error(error, batch.id)
    return batch


def _state_machine() -> str:
    return os.environ["STATE_MACHINE_ARN"]


def _id_in(request: ApiRequest) -> str:
    batch_id = unquote(request.path_parameters.get("id") or "")
    if not is_valid_id(batch_id):
        raise batch_not_found(batch_id)
    return batch_id


_ROUTES: Mapping[str, Route] = {
    "POST /v1/batches": create_batch,
    "GET /v1/batches": list_batches,
    "GET /v1/batches/{id}": retrieve_batch,
    "POST /v1/batches/{id}/cancel": cancel_batch,
}

"""OpenAI's Files API: what batches read and write."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from llm_relay.api.client_context import client_of
from llm_relay.batch.api.pagination import Document, is_valid_id, paginate, parse_after, parse_limit
from llm_relay.batch.api.routes import owner_id, serve
from llm_relay.batch.api.uploads import bucket, create_file
from llm_relay.batch.model.names import is_file_id
from llm_relay.batch.model.record import ENDED
from llm_relay.batch.model.store import store
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import FileInUse, FileNotFound
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.batch.api.routes import Route
    from llm_relay.batch.model.record import StoredFile

_LINK_SECONDS = 60
_MOST_LISTED = 10_000
_BATCHES_AT_ONCE = 100
# By then every batch has ended, even one that was late.
_LONGEST_BATCH_SECONDS = 2 * 86_400


def serve_files(request: ApiRequest) -> HttpAnswer:
    """Answer a request under /v1/files."""
    return serve(_ROUTES, request)


def list_files(request: ApiRequest) -> Document:
    """Return a page of the caller's files, the newest first unless asked otherwise."""
    query, now = request.query, time.time()
    order, purpose = query.get("order", "desc"), query.get("purpose")
    if order not in ("asc", "desc"):
        refuse("order", "must be 'asc' or 'desc'.")
    owner = owner_id(client_of(request))

    def is_wanted(file: StoredFile) -> bool:
        return not file.is_over(now) and purpose in (None, "", file.purpose)

    return paginate(
        lambda after, limit: store().files(owner, after, limit, oldest_first=order == "asc"),
        parse_after(query, is_file_id),
        parse_limit(query, _MOST_LISTED, _MOST_LISTED),
        is_wanted,
    )


def retrieve_file(request: ApiRequest) -> Document:
    """Return what is known of a file."""
    return file_of(owner_id(client_of(request)), _id_in(request), "file_id").document()


def delete_file(request: ApiRequest) -> Document:
    """Delete a file and its content."""
    file = file_of(owner_id(client_of(request)), _id_in(request), "file_id")
    if file.purpose == "batch" and (batch_id := _batch_reading(file)):
        raise FileInUse(
            f"The batch {batch_id} reads its rows from this file. Cancel the batch or wait for "
            "its end, then delete the file.",
            param="file_id",
        )
    # The content first: whatever breaks off after that can be asked for again.
    bucket().delete(file.key)
    store().delete_file(file.owner, file.id)
    return {"id": file.id, "object": "file", "deleted": True}


def show_content(request: ApiRequest) -> HttpAnswer:
    """Send the caller to a file's content."""
    file = file_of(owner_id(client_of(request)), _id_in(request), "file_id")
    try:
        bucket().head(file.key)
    except KeyError:
        raise file_not_found(file.id, "file_id") from None
    # Results are larger than what Lambda can answer. Clients follow the link by themselves, and
    # leave out the Authorization header on another host, which S3 would refuse beside a link.
    link = bucket().presigned_url(file.key, _LINK_SECONDS, file.filename)
    headers = {"location": link, "cache-control": "no-store"}
    return HttpAnswer(status=HTTPStatus.FOUND, headers=headers, body=[])


def file_of(owner: str, file_id: str, param: str) -> StoredFile:
    """Return an owner's file; FileNotFound if there is none of that id."""
    file = store().file(owner, file_id) if is_valid_id(file_id) else None
    if file is None:
        raise file_not_found(file_id, param)
    return file


def file_not_found(file_id: str, param: str) -> FileNotFound:
    """Return the error for an id that the caller has no file of."""
    return FileNotFound(
        f"You have no file {file_id!r:.100}, or its time is over. GET /v1/files lists those "
        "there are.",
        param=param,
    )


def _batch_reading(file: StoredFile) -> str | None:
    """Return the id of a batch that has not ended and has the file as its input, if any."""
    oldest = time.time() - _LONGEST_BATCH_SECONDS
    after = None
    while batches := store().batches(file.owner, after, _BATCHES_AT_ONCE):
        for batch in batches:
            if batch.input_file_id == file.id and batch.status not in ENDED:
                return batch.id
        if batches[-1].created_at < oldest:
            break
        after = batches[-1].id
    return None


def _id_in(request: ApiRequest) -> str:
    return unquote(request.path_parameters.get("id") or "")


_ROUTES: Mapping[str, Route] = {
    "POST /v1/files": create_file,
    "GET /v1/files": list_files,
    "GET /v1/files/{id}": retrieve_file,
    "DELETE /v1/files/{id}": delete_file,
    "GET /v1/files/{id}/content": show_content,
}

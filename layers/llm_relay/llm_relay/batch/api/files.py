"""OpenAI's Files API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from llm_relay.batch.api import routes
from llm_relay.batch.api.uploads import create_file
from llm_relay.batch.model.names import is_file_id
from llm_relay.batch.model.record import ENDED, Document, StoredFile
from llm_relay.batch.model.store import bucket, store
from llm_relay.core.answer import HttpAnswer
from llm_relay.core.errors import FileInUse, FileNotFound
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest

_LINK_SECONDS = 60
_MAX_LISTED = 10_000
_BATCHES_PER_READ = 100
# After this time every batch has ended, including a delayed one.
_MAX_BATCH_SECONDS = 2 * 86_400


def serve_files(request: ApiRequest) -> HttpAnswer:
    """Answer a request under /v1/files."""
    return routes.serve(_ROUTES, request)


def _list(request: ApiRequest) -> Document:
    query, now = request.query, time.time()
    order, purpose = query.get("order", "desc"), query.get("purpose")
    if order not in ("asc", "desc"):
        refuse("order", "must be 'asc' or 'desc'.")
    owner = routes.owner_id(request)
    return routes.paginate(
        lambda after, limit: store().files(owner, after, limit, oldest_first=order == "asc"),
        routes.parse_after(query, is_file_id),
        routes.parse_limit(query, _MAX_LISTED, _MAX_LISTED),
        lambda file: not file.is_expired(now) and purpose in (None, "", file.purpose),
    )


def _retrieve(request: ApiRequest) -> Document:
    return _file_in_path(request).document()


def _delete(request: ApiRequest) -> Document:
    """Delete a file and its content; FileInUse if a batch reads it."""
    file = _file_in_path(request)
    if file.purpose == "batch" and (batch_id := _batch_that_reads(file)):
        raise FileInUse(
            f"The batch {batch_id} reads its rows from this file. Cancel the batch or wait until "
            "it has ended, then delete the file.",
            param="file_id",
        )
    # The content first: if the second call fails, the request can be repeated.
    bucket().delete(file.key)
    store().delete_file(file.owner, file.id)
    return {"id": file.id, "object": "file", "deleted": True}


def _retrieve_content(request: ApiRequest) -> HttpAnswer:
    """Redirect the caller to a file's content."""
    file = _file_in_path(request)
    try:
        bucket().head(file.key)
    except KeyError:
        raise _file_not_found(file.id, "file_id") from None
    # Results may be larger than Lambda's answers. Clients follow the link, and do not send their
    # Authorization header to another host, which S3 would refuse beside the link's signature.
    link = bucket().presigned_url(file.key, _LINK_SECONDS, file.filename)
    headers = {"location": link, "cache-control": "no-store"}
    return HttpAnswer(status=HTTPStatus.FOUND, headers=headers, body=[])


def find_file(owner: str, file_id: str, param: str) -> StoredFile:
    """Return an owner's file; FileNotFound names the parameter."""
    file = store().file(owner, file_id) if routes.is_valid_id(file_id) else None
    if file is None:
        raise _file_not_found(file_id, param)
    return file


def _file_in_path(request: ApiRequest) -> StoredFile:
    return find_file(routes.owner_id(request), routes.path_id(request), "file_id")


def _file_not_found(file_id: str, param: str) -> FileNotFound:
    return FileNotFound(
        f"You have no file {file_id!r:.100}, or it has expired. GET /v1/files lists your files.",
        param=param,
    )


def _batch_that_reads(file: StoredFile) -> str | None:
    """Return the id of a batch that has not ended and whose input is the file."""
    oldest = time.time() - _MAX_BATCH_SECONDS
    after = None
    while batches := store().batches(file.owner, after, _BATCHES_PER_READ):
        for batch in batches:
            if batch.input_file_id == file.id and batch.status not in ENDED:
                return batch.id
        if batches[-1].created_at < oldest:
            break
        after = batches[-1].id
    return None


_ROUTES: Mapping[str, routes.Route] = {
    "POST /v1/files": create_file,
    "GET /v1/files": _list,
    "GET /v1/files/{id}": _retrieve,
    "DELETE /v1/files/{id}": _delete,
    "GET /v1/files/{id}/content": _retrieve_content,
}

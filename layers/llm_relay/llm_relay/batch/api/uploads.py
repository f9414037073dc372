"""Uploads of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llm_relay.batch.api.checks import expiry_seconds
from llm_relay.batch.api.multipart import Form, parse_form
from llm_relay.batch.api.pagination import parse_digits
from llm_relay.batch.api.routes import owner_id
from llm_relay.batch.model import names
from llm_relay.batch.model.record import Document, StoredFile, retention_seconds
from llm_relay.batch.model.store import bucket, store
from llm_relay.core.errors import FileTooLarge
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest

# Lambda takes at most 6 MB, and Base64 makes four bytes of three.
MAX_UPLOAD_BYTES = 4 * 1024 * 1024


def create_file(request: ApiRequest) -> Document:
    """Store an uploaded file."""
    form = parse_form(request.headers.get("content-type", ""), request.body())
    content = _content(form)
    now = time.time()
    owner, file_id = owner_id(request), names.new_id("file-", now=now)
    file = StoredFile(
        id=file_id,
        owner=owner,
        filename=form.file_name,
        bytes=len(content),
        key=names.upload_key(owner, file_id),
        created_at=int(now),
        expires_at=int(now) + retention_seconds(_requested_seconds(form)),
    )
    bucket().put(file.key, content)
    store().add(file)
    return file.document()


def _content(form: Form) -> bytes:
    if form.fields.get("purpose") != "batch":
        refuse("purpose", "must be 'batch': only files of batches are stored.")
    if form.file is None:
        refuse("file", "must be a part with a file name and a JSONL file.")
    if not form.file:
        refuse("file", "is empty. Write one request per line, as JSON.")
    if len(form.file) > MAX_UPLOAD_BYTES:
        raise FileTooLarge(
            f"The file is larger than {MAX_UPLOAD_BYTES} bytes, the limit of this API. Ask the "
            "operator to submit it, at any size: relay batch submit FILE",
            param="file",
        )
    return form.file


def _requested_seconds(form: Form) -> int | None:
    anchor = form.fields.get("expires_after[anchor]")
    seconds = form.fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    expiry = {"anchor": anchor, "seconds": parse_digits(seconds or "")}
    return expiry_seconds({"expires_after": expiry}, "expires_after")

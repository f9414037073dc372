"""Files that come through the API."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_relay.api.client_context import client_of
from llm_relay.aws.s3 import Bucket
from llm_relay.batch.api.multipart import Form, parse_form
from llm_relay.batch.api.pagination import Document, expiry_seconds, parse_digits
from llm_relay.batch.api.routes import owner_id
from llm_relay.batch.model import names
from llm_relay.batch.model.record import StoredFile
from llm_relay.batch.model.retention import retention_seconds
from llm_relay.batch.model.store import store
from llm_relay.core.errors import FileTooLarge
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest

# Lambda is handed no more than 6 MB, and Base64 makes four bytes of three.
MAX_UPLOAD_BYTES = 4 * 1024 * 1024


def create_file(request: ApiRequest) -> Document:
    """Keep a file that was uploaded."""
    form = parse_form(request.headers.get("content-type", ""), request.body())
    content = _content_in(form)
    now = time.time()
    owner, file_id = owner_id(client_of(request)), names.new_id("file-", now=now)
    file = StoredFile(
        id=file_id,
        owner=owner,
        filename=form.file_name,
        bytes=len(content),
        key=names.upload_key(owner, file_id),
        created_at=int(now),
        expires_at=int(now) + _seconds_kept(form),
    )
    bucket().put(file.key, content)
    store().add(file)
    return file.document()


@lru_cache(maxsize=1)
def bucket() -> Bucket:
    """Return the bucket of this environment."""
    return Bucket(os.environ["BATCH_BUCKET"])


def _content_in(form: Form) -> bytes:
    if form.fields.get("purpose") != "batch":
        refuse("purpose", "must be 'batch': files are kept here for batches alone.")
    if form.file is None:
        refuse("file", "must be a part with a file name, and the JSONL file in it.")
    if not form.file:
        refuse("file", "is empty. Send one request per line, as JSON.")
    if len(form.file) > MAX_UPLOAD_BYTES:
        raise FileTooLarge(
            f"The file is larger than {MAX_UPLOAD_BYTES} bytes, the limit of this API. Ask the "
            "operator to submit it, at any size: relay batch submit FILE",
            param="file",
        )
    return form.file


def _seconds_kept(form: Form) -> int:
    """Return how long a file is kept: no longer than S3 keeps anything."""
    anchor = form.fields.get("expires_after[anchor]")
    seconds = form.fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return retention_seconds()
    asked = {"anchor": anchor, "seconds": parse_digits(seconds or "")}
    return retention_seconds(expiry_seconds({"expires_after": asked}, "expires_after"))

"""Uploads of files, as multipart/form-data."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.batch.api.checks import expiry_seconds
from llm_relay.batch.api.routes import owner_id, parse_digits
from llm_relay.batch.model import names
from llm_relay.batch.model.record import Document, StoredFile, retention_seconds
from llm_relay.batch.model.store import bucket, store
from llm_relay.core.errors import BadRequest, FileTooLarge
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

    from llm_relay.api.api_gateway import ApiRequest

# Lambda takes at most 6 MB, and Base64 makes four bytes of three.
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
_MAX_NAME_CHARACTERS = 255
_DEFAULT_NAME = "upload"
_MAX_PARTS = 100  # a hundred thousand empty ones would take seconds


@dataclass(slots=True, kw_only=True)
class Form:
    """The content of a form, with at most one file."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytes | None = None
    file_name: str = _DEFAULT_NAME
    is_complete: bool = False
    parts: int = 0

    def add_field(self, part: Field) -> None:
        """Add a part without a file name."""
        self._count_part()
        self.fields[_text(part.field_name)] = _text(part.value)

    def add_file(self, part: File) -> None:
        """Add a part with a file name; parts not named `file` are ignored."""
        self._count_part()
        if part.field_name == b"file":
            part.file_object.seek(0)
            self.file = part.file_object.read()
            self.file_name = safe_file_name(_text(part.file_name))
        part.close()

    def end(self) -> None:
        """Note that the form is complete."""
        self.is_complete = True

    def _count_part(self) -> None:
        self.parts += 1
        if self.parts > _MAX_PARTS:
            raise BadRequest(
                f"The form has more than {_MAX_PARTS} parts. Send 'purpose' and 'file'."
            )


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


def parse_form(content_type: str, body: bytes) -> Form:
    """Return the form in a body; BadRequest if it is not one, or incomplete."""
    from python_multipart.exceptions import FormParserError  # noqa: PLC0415 - uploads alone
    from python_multipart.multipart import FormParser, parse_options_header  # noqa: PLC0415

    # The parser expects Latin-1, the encoding of headers.
    header = content_type.encode("latin-1", "replace").decode("latin-1")
    kind, options = parse_options_header(header)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequest(
            "Send the file as multipart/form-data, with the parts 'purpose' and 'file'."
        )
    # Its warnings quote the body.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)
    form, error = Form(), BadRequest("The multipart/form-data body is incomplete or malformed.")
    try:
        FormParser(
            kind.decode(),
            form.add_field,
            form.add_file,
            form.end,
            boundary=options[b"boundary"],
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        ).write(body)
    except FormParserError:
        raise error from None
    if not form.is_complete:
        raise error
    return form


def safe_file_name(name: str) -> str:
    """Return a file's name without its folders and without unprintable characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(char for char in last if char.isprintable()).strip()
    return printable[:_MAX_NAME_CHARACTERS] or _DEFAULT_NAME


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


def _text(part: bytes | None) -> str:
    return (part or b"").decode("utf-8", "replace")

"""What things of a batch are called: it follows from ids, so that doing it twice is harmless."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

INBOX = "inbox/"
OUTBOX = "outbox/"
# Whose batches are submitted without a client key: by the command line, or through the inbox.
OPERATOR = "operator"

_FILE_ID = re.compile("file-[0-9a-f]{27}(-output|-errors)?")
_SORTABLE = 11  # hexadecimal digits of milliseconds: ids sort by time until the year 2527
_RANDOM = 16


def new_id(prefix: str, seed: str | None = None, now: float | None = None) -> str:
    """Return an id that sorts by time; one with a seed is the same for the same seed and time."""
    moment = int((time.time() if now is None else now) * 1000)
    tail = hashlib.sha256(seed.encode()).hexdigest() if seed else secrets.token_hex(_RANDOM)
    return f"{prefix}{moment:0{_SORTABLE}x}{tail[:_RANDOM]}"


def upload_key(owner: str, file_id: str) -> str:
    """Return where an uploaded file lies."""
    return f"files/{owner}/{file_id}"


def batch_prefix(batch_id: str) -> str:
    """Return where everything of a batch lies."""
    return f"batches/{batch_id}/"


def manifest_key(batch_id: str) -> str:
    """Return where the list of chunks lies."""
    return batch_prefix(batch_id) + "manifest.json"


def parts_prefix(batch_id: str, chunk: int) -> str:
    """Return what the parts of a chunk's results begin with."""
    return f"{batch_prefix(batch_id)}parts/{chunk:06d}/"


def part_key(batch_id: str, chunk: int, attempt: int, number: int) -> str:
    """Return where a part of a chunk's results lies; keys sort as their parts came about."""
    return f"{parts_prefix(batch_id, chunk)}{attempt:04d}-{number:06d}"


def row_request_id(batch_id: str, row: int) -> str:
    """Return the id of a row's line in the results."""
    return f"batch_req_{batch_id.removeprefix('batch_')}_{row}"


def is_file_id(text: str) -> bool:
    """Tell whether a text could be the id of a file, one that was deleted included."""
    return bool(_FILE_ID.fullmatch(text))


def result_file_id(batch_id: str, kind: str) -> str:
    """Return the id of a file of results, `output` or `errors`."""
    return f"file-{batch_id.removeprefix('batch_')}-{kind}"

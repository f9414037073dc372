"""Ids and S3 keys of a batch; deterministic, so that every step can be repeated."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_relay.batch.model.record import Batch
    from llm_relay.core.client import Client

INBOX = "inbox/"
OUTBOX = "outbox/"
# The owner of batches without a client key: from the command line or the inbox.
OPERATOR = "operator"
# The kinds of result files.
OUTPUT = "output"
ERRORS = "errors"

_FILE_ID = re.compile("file-[0-9a-f]{27}(-output|-errors)?")
_TIME_DIGITS = 11  # hexadecimal, in milliseconds: ids sort by time until the year 2527
_RANDOM_CHARACTERS = 16


def new_id(prefix: str, seed: str | None = None, now: float | None = None) -> str:
    """Return an id that sorts by time; the same seed and time give the same id."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    tail = hashlib.sha256(seed.encode()).hexdigest() if seed else secrets.token_hex()
    return f"{prefix}{milliseconds:0{_TIME_DIGITS}x}{tail[:_RANDOM_CHARACTERS]}"


def owner_id(client: Client) -> str:
    """Return the owner of a client's records, which stays the same when its key is rotated."""
    return client.id or client.key_id


def upload_key(owner: str, file_id: str) -> str:
    """Return the key of an uploaded file."""
    return f"files/{owner}/{file_id}"


def batch_prefix(batch_id: str) -> str:
    """Return the prefix of all keys of a batch."""
    return f"batches/{batch_id}/"


def manifest_key(batch_id: str) -> str:
    """Return the key of the list of chunks."""
    return batch_prefix(batch_id) + "manifest.json"


def parts_prefix(batch_id: str, chunk: int) -> str:
    """Return the prefix of the parts of a chunk's results."""
    return f"{batch_prefix(batch_id)}parts/{chunk:06d}/"


def part_key(batch_id: str, chunk: int, attempt: int, number: int) -> str:
    """Return the key of a part of a chunk's results; keys sort in the order of writing."""
    return f"{parts_prefix(batch_id, chunk)}{attempt:04d}-{number:06d}"


def results_key(batch: Batch, kind: str) -> str:
    """Return the key of a file of results, OUTPUT or ERRORS."""
    return f"{batch.results}{kind}.jsonl"


def result_file_id(batch_id: str, kind: str) -> str:
    """Return the id of a file of results, OUTPUT or ERRORS."""
    return f"file-{batch_id.removeprefix('batch_')}-{kind}"


def row_request_id(batch_id: str, row: int) -> str:
    """Return the id of a row's line in the results."""
    return f"batch_req_{batch_id.removeprefix('batch_')}_{row}"


def is_file_id(text: str) -> bool:
    """Tell whether a text has the form of a file's id."""
    return bool(_FILE_ID.fullmatch(text))

"""Shared code of the file and batch routes: errors, owners, ids and pagination."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from llm_relay.api.api_gateway import ApiRequest, client_of, finish_with, handle_request
from llm_relay.batch.model import names
from llm_relay.batch.model.record import Batch, Document, StoredFile
from llm_relay.core.answer import HttpAnswer, json_answer
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import BatchesUnavailable
from llm_relay.validation.fields import refuse

if TYPE_CHECKING:
    from llm_relay.observability.call_record import CallRecord

Route = Callable[[ApiRequest], Document | HttpAnswer]
Entry = TypeVar("Entry", Batch, StoredFile)

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_DIGITS = re.compile(r"[0-9]{1,9}")


def serve(routes: Mapping[str, Route], request: ApiRequest) -> HttpAnswer:
    """Answer a request with what its route returns."""
    return handle_request(request, lambda call: _answer(call, _call_route(routes, request)))


def owner_id(request: ApiRequest) -> str:
    """Return the owner under which the caller's files and batches are stored."""
    return names.owner_id(client_of(request))


def path_id(request: ApiRequest) -> str:
    """Return the id in the path."""
    return unquote(request.path_parameters.get("id") or "")


def is_valid_id(text: str) -> bool:
    """Tell whether a text may be looked up as an id."""
    return bool(_ID.fullmatch(text))


def parse_digits(text: str) -> int | None:
    """Return the number that a text of at most nine digits holds; None for any other text."""
    return int(text) if _DIGITS.fullmatch(text) else None


def parse_limit(query: Mapping[str, str], maximum: int, default: int) -> int:
    """Return the requested number of entries of a page."""
    limit = parse_digits(query.get("limit", str(default)))
    if limit is None or not 1 <= limit <= maximum:
        refuse("limit", f"must be a whole number from 1 to {maximum}.")
    return limit


def parse_after(query: Mapping[str, str], is_known: Callable[[str], bool]) -> str | None:
    """Return the id after which a page begins; BadRequest if no entry can have it."""
    after = query.get("after")
    if after and not (is_valid_id(after) and is_known(after)):
        refuse("after", "must be the id of the last entry of the previous page.")
    return after or None


def paginate(
    read: Callable[[str | None, int], list[Entry]],
    after: str | None,
    limit: int,
    is_listed: Callable[[Entry], bool] = lambda _: True,
) -> Document:
    """Return a page in the form of OpenAI's API; `read` returns entries following an id."""
    found: list[Entry] = []
    while len(found) <= limit:
        count = limit + 1 - len(found)
        entries = read(after, count)
        found += filter(is_listed, entries)
        if len(entries) < count:
            break
        after = entries[-1].id
    shown = found[:limit]
    return {
        "object": "list",
        "data": [entry.document() for entry in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": len(found) > limit,
    }


def _call_route(routes: Mapping[str, Route], request: ApiRequest) -> Document | HttpAnswer:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - late, as boto3

    try:
        return routes[request.route](request)
    except BatchesUnavailable as error:
        if isinstance(error.__cause__, Exception):
            log_internal_error(error.__cause__, request.request_id)
        raise
    except (BotoCoreError, ClientError) as error:
        log_internal_error(error, request.request_id)
        raise BatchesUnavailable(
            "Files and batches are unavailable. Try again in a moment; if it lasts, tell the "
            "operator that a call of AWS fails: the log has the request id."
        ) from None


def _answer(call: CallRecord, result: Document | HttpAnswer) -> HttpAnswer:
    answer = result if isinstance(result, HttpAnswer) else json_answer(HTTPStatus.OK, result, {})
    return finish_with(call, answer)

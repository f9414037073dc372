"""Requests through API Gateway: events, the client that calls, the handling, and proxy results."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from llm_relay.core.answer import HttpAnswer, error_answer, json_answer
from llm_relay.core.client import Client, parse_limits
from llm_relay.core.error_log import log_internal_error
from llm_relay.core.errors import POSSIBLY_BILLED, BadRequest, InternalError, RelayError
from llm_relay.observability.call_record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request, parsed from its event."""

    route: str  # as in the template: "POST /v1/chat/completions"
    request_id: str
    api_key_id: str  # never the key's value
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # with lower-case names
    authorizer: Mapping[str, str] = field(default_factory=dict)  # its context of the caller
    _body: str = ""
    _body_is_base64: bool = False

    def body(self) -> bytes:
        """Return the body's bytes; BadRequest if they cannot be decoded."""
        try:
            return base64.b64decode(self._body) if self._body_is_base64 else self._body.encode()
        except (ValueError, AttributeError):
            raise BadRequest("The body is not valid UTF-8. Send JSON in UTF-8.") from None


def parse_event(event: Mapping[str, Any]) -> ApiRequest:
    """Parse a REST proxy event."""
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    return ApiRequest(
        route=f"{event.get('httpMethod')} {event.get('resource')}",
        request_id=context.get("requestId") or "",
        api_key_id=identity.get("apiKeyId") or "unknown",
        path_parameters=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        authorizer=context.get("authorizer") or {},
        _body=event.get("body") or "",
        _body_is_base64=bool(event.get("isBase64Encoded")),
    )


def client_of(request: ApiRequest) -> Client:
    """Return the client that calls; ValueError for a limit that is not a number."""
    context = request.authorizer
    limits = parse_limits({name: value for name, value in context.items() if value})
    return Client(id=context.get("client", ""), key_id=request.api_key_id, **limits)


def handle_request(request: ApiRequest, work: Callable[[CallRecord], HttpAnswer]) -> HttpAnswer:
    """Return the answer of `work`, which finishes the record; turn failures into error answers."""
    call = CallRecord(route=request.route, request_id=request.request_id, client=request.api_key_id)
    try:
        return work(call)
    except RelayError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the runtime would print it, prompt included
        log_internal_error(error, call.request_id)
        failure = InternalError("The relay itself failed. Its log has the request id.")
    call.tracker.provider = failure.provider or call.tracker.provider
    possibly_billed = call.tracker.attempts > 0 and isinstance(failure, POSSIBLY_BILLED)
    call.finish(failure.status, failure.code, failure=failure, possibly_billed=possibly_billed)
    return error_answer(failure, call.headers())


def json_success(call: CallRecord, document: Any) -> HttpAnswer:
    """Finish the record and return a JSON answer with status 200."""
    return finish_with(call, json_answer(HTTPStatus.OK, document, {}))


def finish_with(call: CallRecord, answer: HttpAnswer) -> HttpAnswer:
    """Finish the record and return the complete answer, with the call's headers too."""
    call.mark_first_byte()
    call.finish(answer.status)
    return replace(answer, headers={**call.headers(), **answer.headers})


def proxy_handler(serve: Callable[[ApiRequest], HttpAnswer]) -> Callable[[Any, Any], Any]:
    """Return the Lambda handler of routes whose answers are not streamed."""
    return lambda event, _context: proxy_result(serve(parse_event(event)))


def proxy_result(answer: HttpAnswer) -> dict[str, Any]:
    """Return an answer in the format of API Gateway's buffered integration."""
    return {
        "statusCode": int(answer.status),
        "headers": dict(answer.headers),
        "body": b"".join(answer.body).decode("utf-8", "replace"),
        "isBase64Encoded": False,
    }

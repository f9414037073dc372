"""The lines of output and error files, in the format of OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.model.parts import RowResult
from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion


def success_result(
    batch_id: str, row: int, custom_id: str, completion: Completion, cost_nanos: int
) -> RowResult:
    """Return the result of an answered row; the answer's text is kept as the provider sent it."""
    usage, text = completion.usage, completion.text.strip()
    if b"\n" in text or b"\r" in text:
        text = compact(completion.document)
    request_id, provider = completion.provider_request_id, completion.provider
    response = _response(completion.status, request_id, provider)
    return RowResult(
        row=row,
        line=_line(batch_id, row, custom_id, response, text),
        is_answer=True,
        cost_nanos=cost_nanos,
        tokens_in=usage.tokens_in or 0,
        tokens_cached=usage.tokens_cached or 0,
        tokens_out=usage.tokens_out or 0,
        tokens_reasoning=_reasoning_tokens(completion.document),
    )


def error_result(
    batch_id: str, row: int, custom_id: str | None, error: RelayError, cost_nanos: int = 0
) -> RowResult:
    """Return the result of a row that failed and is not retried."""
    request_id = error.headers().get("x-upstream-request-id")
    response = _response(error.status, request_id, error.provider)
    line = _line(batch_id, row, custom_id, response, compact(error.body()))
    return RowResult(row=row, line=line, is_answer=False, cost_nanos=cost_nanos)


def response_model(line: bytes) -> str | None:
    """Return the model that the answer of an output line names."""
    model = json.loads(line)["response"]["body"].get("model")
    return model if isinstance(model, str) else None


def _response(status: int, request_id: str | None, provider: str | None) -> dict[str, Any]:
    response = {"status_code": int(status), "request_id": request_id}
    return response | {"provider": provider} if provider else response


def _line(
    batch_id: str, row: int, custom_id: str | None, response: dict[str, Any], body: bytes
) -> bytes:
    line_id = row_request_id(batch_id, row)
    response["request_id"] = response["request_id"] or line_id
    head = compact({"id": line_id, "custom_id": custom_id, "response": response})[:-2]
    return b'%b,"body":%b},"error":null}\n' % (head, body)


def _reasoning_tokens(document: Mapping[str, Any]) -> int:
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    details = counts.get("completion_tokens_details") or counts.get("output_tokens_details")
    count = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and count >= 0 else 0

"""The lines of output and error files, as OpenAI's API writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llm_relay.batch.model.names import row_request_id
from llm_relay.batch.model.parts import RowResult
from llm_relay.core.json_codec import compact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.errors import RelayError
    from llm_relay.providers.completion import Completion


def success_result(
    batch_id: str, row: int, custom_id: str, whole: Completion, cost_nanos: int
) -> RowResult:
    """Return the line of an answer, which goes in as the provider wrote it."""
    line_id, usage = row_request_id(batch_id, row), whole.usage
    request_id = whole.provider_request_id or line_id
    response = _response(whole.status, request_id, whole.provider)
    return RowResult(
        row=row,
        line=_line(line_id, custom_id, response, _on_one_line(whole)),
        is_answer=True,
        cost_nanos=cost_nanos,
        tokens_in=usage.tokens_in or 0,
        tokens_cached=usage.tokens_cached or 0,
        tokens_out=usage.tokens_out or 0,
        tokens_reasoning=_reasoning_tokens(whole.document),
    )


def error_result(
    batch_id: str, row: int, custom_id: str | None, error: RelayError, cost_nanos: int = 0
) -> RowResult:
    """Return the line of a row that has failed for good."""
    line_id = row_request_id(batch_id, row)
    request_id = error.headers().get("x-upstream-request-id") or line_id
    response = _response(error.status, request_id, error.provider)
    line = _line(line_id, custom_id, response, compact(error.body()))
    return RowResult(row=row, line=line, is_answer=False, cost_nanos=cost_nanos)


def response_model(line: bytes) -> str | None:
    """Return the model that a line's answer names, if it is one."""
    body = json.loads(line)["response"]["body"]
    model = body.get("model")
    return model if isinstance(model, str) else None


def _response(status: int, request_id: str, provider: str | None) -> dict[str, Any]:
    """Return what stands before the body; who answered is told where there are several."""
    response = {"status_code": int(status), "request_id": request_id}
    return response | {"provider": provider} if provider else response


def _line(line_id: str, custom_id: str | None, response: Mapping[str, Any], body: bytes) -> bytes:
    opened = compact({"id": line_id, "custom_id": custom_id, "response": response})[:-2]
    return b'%b,"body":%b},"error":null}\n' % (opened, body)


def _on_one_line(whole: Completion) -> bytes:
    text = whole.text.strip()
    if b"\n" in text or b"\r" in text:
        return compact(whole.document)
    return text


def _reasoning_tokens(document: Mapping[str, Any]) -> int:
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    details = counts.get("completion_tokens_details") or counts.get("output_tokens_details")
    count = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and count >= 0 else 0

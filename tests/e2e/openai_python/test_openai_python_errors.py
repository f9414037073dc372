"""Every refusal is the exception that users of the official Python client expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.e2e.openai_python.callers import callers_of
from tests.e2e.openai_python.surfaces import Chat, Responses
from tests.e2e.variants import ASK, MODEL

if TYPE_CHECKING:
    from tests.e2e.conftest import Running
    from tests.e2e.openai_python.callers import Caller

caller = callers_of(Chat, Responses)
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

# A pause longer than the relay waits: it returns the refusal instead of retrying.
AT_ONCE = "retry-after=37"
REFUSALS: dict[int, tuple[type[openai.APIStatusError], str]] = {
    400: (openai.BadRequestError, "invalid_request"),
    402: (openai.APIStatusError, "insufficient_credits"),
    403: (openai.PermissionDeniedError, "permission_denied"),
    404: (openai.NotFoundError, "not_found"),
    422: (openai.UnprocessableEntityError, "unprocessable_entity"),
    429: (openai.RateLimitError, "rate_limit_exceeded"),
    500: (openai.InternalServerError, "server_error"),
    502: (openai.InternalServerError, "server_error"),
}


def refusal(caller: Caller, model: str, **fields: Any) -> openai.APIStatusError:
    """Return the exception that a question raises, as it must."""
    request_fields = {"model": model, **caller.surface.request_fields(ASK), **fields}
    with pytest.raises(openai.APIStatusError) as caught:
        caller.create(**request_fields)
    return caught.value


@whole_and_streamed
@pytest.mark.parametrize("status", REFUSALS)
def test_a_provider_refusal_has_its_class_and_code(
    caller: Caller, status: int, stream: bool
) -> None:
    error = refusal(caller, f"{MODEL}@status={status};{AT_ONCE}", stream=stream)
    assert (type(error), error.code) == REFUSALS[status]
    assert (error.status_code, error.param) == (status, None)
    assert error.request_id == error.response.headers["x-request-id"]


@pytest.mark.parametrize("body", ["detail", "html", "empty"])
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_in_another_shape_has_its_class_and_a_message(
    caller: Caller, status: int, body: str
) -> None:
    error = refusal(caller, f"{MODEL}@status={status};error-body={body};{AT_ONCE}")
    assert type(error) is REFUSALS[status][0]
    assert isinstance(error.body, dict)
    assert error.body["message"] in str(error)


@whole_and_streamed
def test_a_refused_provider_key_is_not_the_callers_fault(caller: Caller, stream: bool) -> None:
    error = refusal(caller, f"{MODEL}@status=401", stream=stream)
    assert type(error) is openai.InternalServerError
    assert (error.status_code, error.code) == (502, "provider_key_rejected")
    assert error.request_id


@whole_and_streamed
def test_a_wrong_client_key_is_an_authentication_error(caller: Caller, stream: bool) -> None:
    stranger = {"Authorization": "Bearer sk-relay-another-client-00000000000"}
    error = refusal(caller, MODEL, stream=stream, extra_headers=stranger)
    assert type(error) is openai.AuthenticationError
    assert (error.status_code, error.code, error.param) == (401, "invalid_api_key", None)
    assert error.request_id


@whole_and_streamed
def test_a_wrong_path_is_a_not_found_error(running: Running, stream: bool) -> None:
    lost = running.client(base_url=running.stack.base_url)
    with lost, pytest.raises(openai.NotFoundError, match="/v1") as caught:
        lost.chat.completions.create(model=MODEL, messages=[], stream=stream)
    assert caught.value.code == "unknown_route"
    assert caught.value.request_id


@whole_and_streamed
def test_a_wrong_value_is_named_by_its_path(caller: Caller, stream: bool) -> None:
    turns = caller.surface.turns
    parts = caller.surface.parts("What is this?", "ftp://example.com/a.png")
    error = refusal(caller, MODEL, stream=stream, **caller.surface.request_fields(parts))
    assert type(error) is openai.BadRequestError
    assert str(error.param).startswith(f"{turns}[0].content[1]")
    assert error.request_id


@whole_and_streamed
def test_a_value_beyond_the_models_limit_is_named(caller: Caller, stream: bool) -> None:
    error = refusal(caller, f"{MODEL}-large", stream=stream, temperature=1.5)
    assert type(error) is openai.BadRequestError
    assert error.param == "temperature"


def test_a_first_event_that_is_an_error_is_an_exception_and_no_stream(caller: Caller) -> None:
    error = refusal(caller, f"{MODEL}@first-event=error;status=429", stream=True)
    assert type(error) is openai.RateLimitError
    assert error.code == "rate_limit_exceeded"

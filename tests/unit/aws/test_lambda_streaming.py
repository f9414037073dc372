"""What a handler returns to stream, and the runtimes it can be returned to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_relay.api.api_gateway import proxy_result
from llm_relay.aws import lambda_streaming
from llm_relay.aws.lambda_streaming import StreamResponse, lambda_result, patch_runtime_client
from llm_relay.core.answer import HttpAnswer

ANSWER = HttpAnswer(status=201, headers={"content-type": "text/plain"}, body=[b"a", b"b"])
IN_THE_WIRE_FORMAT = (
    json.dumps({"statusCode": 201, "headers": {"content-type": "text/plain"}}).encode()
    + bytes(8)
    + b"ab"
)


class Marshaller:
    """The least that a runtime's marshaller has."""

    extra = "kept"

    def marshal_response(self, response: Any) -> tuple[Any, str]:
        return json.dumps(response), "application/json"


def client_class() -> Any:
    class Client:
        marshaller = Marshaller()
        posted: list[Any] = []

        def post_invocation_result(self, invoke_id: str, result: Any, *more: Any) -> None:
            self.posted.append((invoke_id, result, *more))

    return Client


@pytest.fixture
def unattached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_streaming, "_is_patched", False)


@pytest.mark.usefixtures("unattached")
def test_without_a_streaming_runtime_the_complete_answer_has_the_same_format() -> None:
    assert lambda_result(ANSWER, proxy_result, {}) == IN_THE_WIRE_FORMAT


@pytest.mark.usefixtures("unattached")
def test_with_a_streaming_runtime_the_answer_is_returned_as_a_stream() -> None:
    assert patch_runtime_client(client_class())
    result = lambda_result(ANSWER, proxy_result, {})
    assert isinstance(result, StreamResponse)
    assert result.buffered() == IN_THE_WIRE_FORMAT


@pytest.mark.usefixtures("unattached")
def test_one_switch_turns_streaming_off() -> None:
    patch_runtime_client(client_class())
    assert lambda_result(ANSWER, proxy_result, {"RELAY_STREAMING": "off"}) == IN_THE_WIRE_FORMAT


def test_sam_local_gets_an_ordinary_proxy_result() -> None:
    assert lambda_result(ANSWER, proxy_result, {"AWS_SAM_LOCAL": "true"}) == {
        "statusCode": 201,
        "headers": {"content-type": "text/plain"},
        "body": "ab",
        "isBase64Encoded": False,
    }


@pytest.mark.usefixtures("unattached")
@pytest.mark.parametrize("missing", ["marshaller", "post_invocation_result"])
def test_a_runtime_that_lacks_the_names_is_not_changed(missing: str) -> None:
    client = client_class()
    delattr(client, missing)
    assert not patch_runtime_client(client)
    assert not patch_runtime_client(None)
    assert lambda_result(ANSWER, proxy_result, {}) == IN_THE_WIRE_FORMAT


@pytest.mark.usefixtures("unattached")
def test_ordinary_results_take_the_runtime_s_own_path() -> None:
    client = client_class()
    patch_runtime_client(client)
    assert client.marshaller.marshal_response({"a": 1}) == ('{"a": 1}', "application/json")
    assert client.marshaller.extra == "kept"
    client().post_invocation_result("id", "{}", "application/json", None)
    assert client.posted == [("id", "{}", "application/json", None)]


def test_a_body_is_closed_even_if_it_was_never_begun() -> None:
    class Body:
        closed = False

        def __iter__(self) -> Any:
            return iter(())

        def close(self) -> None:
            self.closed = True

    body = Body()
    StreamResponse(200, {}, body).close()
    assert body.closed

"""Whatever a request holds, it is put into the provider's words once, or refused."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.api.api_gateway import client_of, parse_event
from llm_relay.api.idempotency.records import idempotency_key
from llm_relay.batch.api.routes import parse_after, parse_limit
from llm_relay.batch.model.names import is_file_id
from llm_relay.billing.cost import max_input_tokens
from llm_relay.core.errors import BadRequest
from llm_relay.endpoints.chat import ChatCompletions
from llm_relay.endpoints.responses import Responses
from llm_relay.providers.dialects.dialect import DIALECTS
from llm_relay.providers.dialects.translation import Translation
from llm_relay.validation.fields import body_object
from tests.fuzz.tally import TRIED
from tests.unit.validation.bodies import CHAT, RESPONSES, spoilt

if TYPE_CHECKING:
    from llm_relay.endpoints.endpoint import Endpoint
    from llm_relay.providers.dialects.dialect import Dialect

# Without the item that refers to another, which not every provider takes.
QUESTION = RESPONSES | {"input": [item for item in RESPONSES["input"] if item.keys() != {"id"}]}
REQUESTS: dict[str, tuple[Endpoint, dict[str, Any]]] = {
    "chat": (ChatCompletions(), CHAT),
    "responses": (Responses(), QUESTION),
}


def sent(endpoint: Endpoint, dialect: Dialect, body: dict[str, Any]) -> dict[str, Any]:
    """A request as the provider gets it."""
    translation = Translation(dialect, json.dumps(body).encode(), body)
    endpoint.translate(translation)
    return body_object(translation.text)


def check(endpoint: Endpoint, dialect: Dialect, body: dict[str, Any]) -> None:
    endpoint.check_basics(body)
    endpoint.check_details(body, dialect)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_mutated_request_is_sent_in_valid_form_or_refused(kind: str, dialect: Dialect) -> None:
    endpoint, valid = REQUESTS[kind]

    @given(body=spoilt(valid))
    def hold(body: dict[str, Any]) -> None:
        TRIED[f"bodies of {kind}"] += 1
        with suppress(BadRequest):
            check(endpoint, dialect, body)
            once = sent(endpoint, dialect, body)
            check(endpoint, dialect, once)
            assert sent(endpoint, dialect, once) == once
            assert max_input_tokens(body, None) > 0
            endpoint.stream_normalizer(body, dialect)
            json.dumps(endpoint.with_required_fields({}, body))

    assert sent(endpoint, dialect, valid)
    hold()


TEXT = st.text(max_size=20) | st.sampled_from(
    ["../..", "\r\nx: y", "file-1", "-1", "1e9", "\x00", "٣", "0", "101"]
)
NAMES = ("id", "limit", "after", "Idempotency-Key")
NAMED = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, TEXT))
BODY = TEXT | st.binary(max_size=40).map(lambda body: base64.b64encode(body).decode())
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "httpMethod": TEXT,
        "resource": TEXT,
        "headers": st.none() | NAMED,
        "pathParameters": st.none() | NAMED,
        "queryStringParameters": st.none() | NAMED,
        "requestContext": st.fixed_dictionaries(
            {},
            optional={
                "requestId": TEXT,
                "identity": st.fixed_dictionaries({}, optional={"apiKeyId": st.none() | TEXT}),
                "authorizer": st.fixed_dictionaries({}, optional={"client": TEXT, "models": TEXT}),
            },
        ),
        "body": st.none() | BODY,
        "isBase64Encoded": st.booleans(),
    },
)


@given(event=EVENTS)
def test_any_api_gateway_event_is_parsed_or_a_bad_request(event: dict[str, Any]) -> None:
    TRIED["events"] += 1
    request = parse_event(event)
    client_of(request)
    with suppress(BadRequest):
        assert isinstance(request.body(), bytes)
        body_object(request.body())
    with suppress(BadRequest, KeyError):
        assert idempotency_key(request).isprintable()
    with suppress(BadRequest):
        assert 1 <= parse_limit(request.query, 100, 20) <= 100
    with suppress(BadRequest):
        after = parse_after(request.query, is_file_id)
        assert after is None or is_file_id(after)

"""What API Gateway answers by itself comes in OpenAI's error shape."""

import json
from typing import Any

import pytest

from tests.template.stack import Stack

# The two defaults keep the status of whatever they stand for.
STATUSES = {
    "UNAUTHORIZED": "401",
    "INVALID_API_KEY": "401",
    "ACCESS_DENIED": "403",
    "MISSING_AUTHENTICATION_TOKEN": "404",
    "RESOURCE_NOT_FOUND": "404",
    "THROTTLED": "429",
    "QUOTA_EXCEEDED": "429",
    "BAD_REQUEST_BODY": "400",
    "BAD_REQUEST_PARAMETERS": "400",
    "REQUEST_TOO_LARGE": "413",
    "INTEGRATION_FAILURE": "502",
    "INTEGRATION_TIMEOUT": "504",
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
}


def response(stack: Stack, kind: str) -> dict[str, Any]:
    value: dict[str, Any] = stack.api["x-amazon-apigateway-gateway-responses"][kind]
    return value


def rendered(stack: Stack, kind: str) -> Any:
    """Body as a caller gets it; only messageString comes quoted from API Gateway."""
    (template,) = response(stack, kind)["responseTemplates"].values()
    return json.loads(template.replace("$context.error.messageString", json.dumps('a "bad" day')))


def test_every_gateway_response_is_checked(stack: Stack) -> None:
    assert set(stack.api["x-amazon-apigateway-gateway-responses"]) == set(STATUSES)


@pytest.mark.parametrize("kind", STATUSES)
def test_an_answer_of_api_gateway_is_an_openai_error(stack: Stack, kind: str) -> None:
    body = rendered(stack, kind)
    assert body.keys() == {"error"}
    error = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"]
    assert error["code"]
    assert error["param"] is None


@pytest.mark.parametrize("kind", STATUSES)
def test_an_answer_of_api_gateway_has_the_status_an_sdk_expects(stack: Stack, kind: str) -> None:
    assert response(stack, kind).get("statusCode") == STATUSES[kind]


def test_the_error_for_a_large_body_first_shows_how_to_submit_a_file(stack: Stack) -> None:
    message = rendered(stack, "REQUEST_TOO_LARGE")["error"]["message"]
    assert 0 < message.index("relay batch submit FILE. ") < message.index("images as URLs")


def test_a_throttled_caller_gets_retry_after(stack: Stack) -> None:
    headers = response(stack, "THROTTLED")["responseParameters"]
    assert 1 <= int(headers["gatewayresponse.header.Retry-After"].strip("'")) <= 60


@pytest.mark.parametrize("kind", ["QUOTA_EXCEEDED", "INTEGRATION_TIMEOUT"])
def test_an_sdk_must_not_retry_final_or_possibly_billed_failures(stack: Stack, kind: str) -> None:
    headers = response(stack, kind)["responseParameters"]
    assert headers["gatewayresponse.header.x-should-retry"] == "'false'"

"""What API Gateway does with a request, read from the translated template."""

import re

import pytest

from tests.template.stack import Stack

RELAY_ROUTES = ["/v1/chat/completions", "/v1/responses"]
OPEN_ROUTES = [("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/")]


@pytest.mark.parametrize("path", RELAY_ROUTES)
def test_a_relay_route_streams_for_up_to_fifteen_minutes(stack: Stack, path: str) -> None:
    (route,) = [r for r in stack.routes if r.path == path]
    assert route.method == "POST"
    assert route.integration["responseTransferMode"] == "STREAM"
    assert route.integration["timeoutInMillis"] == 900_000
    uri = route.integration["uri"]["Fn::Sub"]
    assert f":lambda:path/2021-11-15/functions/${{{route.function}Aliaslive}}/" in uri
    assert uri.endswith("/response-streaming-invocations")


def test_every_other_route_is_buffered(stack: Stack) -> None:
    others = [r for r in stack.routes if r.path not in RELAY_ROUTES]
    assert others
    assert [r.path for r in others if "responseTransferMode" in r.integration] == []
    assert [r.path for r in others if "/2015-03-31/" not in r.integration["uri"]["Fn::Sub"]] == []


def test_only_health_document_and_playground_answer_without_a_client_key(stack: Stack) -> None:
    locked: list[dict[str, list[str]]] = [{"ClientKeyAuthorizer": []}, {"api_key": []}]
    for route in stack.routes:
        is_open = (route.method, route.path) in OPEN_ROUTES
        assert route.definition["security"] == ([] if is_open else locked), route.path


def test_an_open_route_has_a_shared_throttle(stack: Stack) -> None:
    (stage,) = stack.of_type("AWS::ApiGateway::Stage").values()
    limited = {
        (s["HttpMethod"], s["ResourcePath"])
        for s in stage["MethodSettings"]
        if "ThrottlingRateLimit" in s
    }
    assert set(OPEN_ROUTES) <= limited


def test_the_authorizer_names_the_key_that_the_usage_plan_counts(stack: Stack) -> None:
    (api,) = stack.of_type("AWS::ApiGateway::RestApi").values()
    assert api["ApiKeySourceType"] == "AUTHORIZER"
    (plan,) = stack.of_type("AWS::ApiGateway::UsagePlan").values()
    (stage,) = stack.of_type("AWS::ApiGateway::Stage")
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": stage}}]


def test_the_first_client_key_is_on_the_usage_plan_and_has_no_fixed_value(stack: Stack) -> None:
    ((key_id, key),) = stack.of_type("AWS::ApiGateway::ApiKey").items()
    (link,) = stack.of_type("AWS::ApiGateway::UsagePlanKey").values()
    assert "Value" not in key
    assert link["KeyId"] == {"Ref": key_id}
    assert link["UsagePlanId"] == {"Ref": "UsagePlan"}


def test_the_api_is_regional(stack: Stack) -> None:
    (api,) = stack.of_type("AWS::ApiGateway::RestApi").values()
    assert api["EndpointConfiguration"]["Types"] == ["REGIONAL"]


@pytest.mark.parametrize(
    ("header", "reaches_the_authorizer"),
    [
        ("Bearer sk-relay-local-000000000000000000000000", True),
        ("bearer sk-relay-local-000000000000000000000000", True),
        ("", False),
        ("Bearer ", False),
        ("Bearer too-short", False),
        ("Basic c2stcmVsYXktbG9jYWwtMDAwMDAwMDAwMA==", False),
        ("Bearer sk-relay-local 00000000000000000000", False),
    ],
)
def test_only_a_plausible_key_invokes_the_authorizer(
    stack: Stack, header: str, reaches_the_authorizer: bool
) -> None:
    scheme = stack.api["components"]["securitySchemes"]["ClientKeyAuthorizer"]
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], scheme["name"]) == ("token", "Authorization")
    matches = re.fullmatch(authorizer["identityValidationExpression"], header)
    assert bool(matches) is reaches_the_authorizer

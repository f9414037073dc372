"""The gateway's way with requests: routes, events, whole answers, its own errors."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.local.small_stack import CLIENT_KEY, RUNTIMES, client, in_loop, small_stack

SECRET_LOOKING = "canary-of-a-prompt"


async def echoed(session: aiohttp.ClientSession, path: str | URL, **kwargs: Any) -> dict[str, Any]:
    async with session.get(path, **kwargs) as response:
        assert response.status == 200
        event: dict[str, Any] = (await response.json())["event"]
        return event


@pytest.mark.parametrize("runtime", RUNTIMES)
@in_loop
async def test_a_request_becomes_a_proxy_event(tmp_path: Path, runtime: str) -> None:
    async with small_stack(tmp_path, runtime=runtime) as stack, client(stack) as session:
        path = URL("/echo/a%3Ab?q=1&q=2&r=%20", encoded=True)
        event = await echoed(session, path, headers={"X-Mine": "yes", "User-Agent": "tests"})
    assert event["resource"] == "/echo/{name}"
    assert event["path"] == "/echo/a%3Ab"
    assert event["pathParameters"] == {"name": "a:b"}
    assert event["queryStringParameters"] == {"q": "2", "r": " "}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "r": [" "]}
    assert event["headers"]["X-Mine"] == "yes"
    assert event["multiValueHeaders"]["X-Mine"] == ["yes"]
    assert event["body"] is None
    context = event["requestContext"]
    assert (context["stage"], context["resourcePath"]) == ("small", "/echo/{name}")
    assert context["path"] == "/small/echo/a%3Ab"
    assert context["identity"]["apiKey"] == CLIENT_KEY
    assert context["identity"]["apiKeyId"]
    assert context["identity"]["userAgent"] == "tests"
    assert context["authorizer"] == {
        "principalId": "a-caller",
        "client": "small",
        "number": "7",
        "sure": "true",
    }


@in_loop
async def test_a_route_answers_at_the_root_and_under_its_stage(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        for path in ("/echo/fixed", "/small/echo/fixed"):
            assert (await echoed(session, path))["resource"] == "/echo/fixed"


@in_loop
async def test_a_greedy_route_matches_the_rest_of_the_path_and_any_method(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        event = await echoed(session, "/files/a/b%20c")
        assert event["pathParameters"] == {"path": "a/b c"}
        async with session.delete("/files/x") as response:
            assert (await response.json())["event"]["httpMethod"] == "DELETE"


@pytest.mark.parametrize(("body", "text"), [("grüße".encode(), "grüße"), (b"\xff", "\ufffd")])
@in_loop
async def test_any_body_is_passed_as_text(tmp_path: Path, body: bytes, text: str) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.post("/echo", data=body) as response,
    ):
        event = (await response.json())["event"]
    assert (event["body"], event["isBase64Encoded"]) == (text, False)


@in_loop
async def test_a_buffered_answer_keeps_its_status_headers_and_body(tmp_path: Path) -> None:
    answer = {
        "statusCode": 418,
        "headers": {"x-one": "1", "Date": "never", "Content-Length": "9"},
        "multiValueHeaders": {"x-two": ["a", "b"]},
        "body": "/w==",
        "isBase64Encoded": True,
    }
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.post("/echo", json={"answer": answer}) as response,
    ):
        assert response.status == 418
        assert await response.read() == b"/w=="  # as nothing here is a binary media type
        assert response.headers["x-one"] == "1"
        assert response.headers.getall("x-two") == ["a", "b"]
        assert response.headers["x-amzn-remapped-date"] == "never"
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["x-amzn-RequestId"]


@pytest.mark.parametrize("answer", ["text", 7, None, {"body": "no status"}, {"statusCode": "x"}])
@in_loop
async def test_a_malformed_answer_is_an_integration_failure(tmp_path: Path, answer: Any) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.post("/echo", json={"answer": answer}) as response,
    ):
        assert response.status == 504
        assert await response.json() == {"message": "Internal server error"}


@pytest.mark.parametrize("fault", ["raise", "exit"])
@in_loop
async def test_a_function_error_is_an_integration_failure(tmp_path: Path, fault: str) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.post("/echo", json={fault: True}) as response,
    ):
        assert response.status == 504
        assert b"as asked" not in await response.read()


@in_loop
async def test_a_function_slower_than_its_route_continues_after_the_timeout(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack, client(stack) as session:
        async with session.post("/hasty", json={"sleep": 1.5}) as response:
            assert response.status == 504
            assert await response.json() == {"message": "Endpoint request timed out"}
        while not (tmp_path / "finished").exists():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("PUT", "/echo"), ("OPTIONS", "/echo"), ("GET", "/")]
)
@in_loop
async def test_an_unknown_route_is_a_missing_authentication_token_error(
    tmp_path: Path, method: str, path: str
) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.request(method, path) as response,
    ):
        assert response.status == 403
        assert await response.json() == {"message": "Missing Authentication Token"}
        assert response.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("megabytes", [7, 11])
@in_loop
async def test_a_request_above_lambda_s_or_the_gateway_s_limit_is_too_large(
    tmp_path: Path, megabytes: int
) -> None:
    async with (
        small_stack(tmp_path) as stack,
        client(stack) as session,
        session.post("/echo", data=io.BytesIO(bytes(megabytes * 1024 * 1024))) as response,
    ):
        assert response.status == 413


@in_loop
async def test_an_access_log_line_has_no_value_of_the_caller(tmp_path: Path) -> None:
    lines: list[str] = []
    async with (
        small_stack(tmp_path, lines.append) as stack,
        client(stack) as session,
        session.post(f"/echo?q={SECRET_LOOKING}", data=SECRET_LOOKING) as response,
    ):
        await response.read()
    assert len(lines) == 1
    assert "POST /echo  200" in lines[0]
    assert SECRET_LOOKING not in lines[0]
    assert CLIENT_KEY not in lines[0]


@in_loop
async def test_two_stacks_in_one_process_are_independent(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as one, small_stack(tmp_path) as two:
        assert one.base_url != two.base_url
        for stack in (one, two):
            async with client(stack) as session:
                assert (await echoed(session, "/echo/fixed"))["resource"] == "/echo/fixed"


@in_loop
async def test_the_state_file_has_the_stack_s_address_while_it_runs(tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    async with small_stack(tmp_path) as stack:
        stack.write_state_file(note)
        said = json.loads(note.read_text())
        functions = {name: stack.template.ref(name) for name in stack.functions}
        assert said == {
            "base_url": f"{stack.base_url}/v1",
            "client_key": CLIENT_KEY,
            "aws_endpoint_url": stack.aws_endpoint_url,
            "aws_region": "us-east-1",
            "bucket": None,
            "queue_url": None,
            "resources": {**stack.template.physical_ids, **functions},
            "parameters": stack.template.parameters,
        }
        assert {"UsagePlan", "ClientKey"} < {*said["resources"]}
        assert said["parameters"]["UpstreamBaseUrl"].endswith("/v1")
    assert not note.exists()

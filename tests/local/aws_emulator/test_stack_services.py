"""Lambda's and API Gateway's own APIs on the local stack."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.stack import Stack
from tests.local.batch_stack import batch_stack, lines, until
from tests.local.small_stack import in_loop, small_stack


async def invoke(stack: Stack, name: str, event: Any, **kwargs: str) -> dict[str, Any]:
    said: dict[str, Any] = await asyncio.to_thread(
        stack.aws("lambda").invoke, FunctionName=name, Payload=json.dumps(event), **kwargs
    )
    return said


@in_loop
async def test_a_function_is_invoked_by_its_name_or_arn(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        for attribute in (stack.template.ref, lambda name: stack.template.attribute(name, "Arn")):
            said = await invoke(stack, attribute("EchoFunction"), {"a": 1})
            assert json.loads(said["Payload"].read()) == {"a": 1}
            assert "FunctionError" not in said


@pytest.mark.parametrize(("ask", "kind"), [("raise", "ValueError"), ("die", "Runtime.ExitError")])
@in_loop
async def test_a_failing_function_reports_its_error(tmp_path: Path, ask: str, kind: str) -> None:
    async with batch_stack(tmp_path) as stack:
        said = await invoke(stack, stack.template.ref("WorkerFunction"), {"id": "a", "do": ask})
        assert said["FunctionError"] == "Unhandled"
        assert json.loads(said["Payload"].read())["errorType"] == kind


@in_loop
async def test_an_asynchronous_invocation_is_not_waited_for(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        event = {"id": "a", "do": "stay"}
        name = stack.template.ref("WorkerFunction")
        said = await invoke(stack, name, event, InvocationType="Event")
        assert said["StatusCode"] == 202
        await until((tmp_path / "begun-a").exists)


@in_loop
async def test_a_function_of_a_stopped_stack_is_not_found(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        name = stack.template.ref("EchoFunction")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await invoke(stack, name, {})
    assert lines(tmp_path / "echoed") == []


@in_loop
async def test_a_function_s_configuration_is_that_of_the_template(tmp_path: Path) -> None:
    async with batch_stack(tmp_path) as stack:
        name, spec = stack.template.ref("EchoFunction"), stack.functions["EchoFunction"].spec
        ask = stack.aws("lambda").get_function_configuration
        said = await asyncio.to_thread(ask, FunctionName=name)
        assert (said["FunctionName"], said["Timeout"]) == (name, spec.timeout_seconds)
        assert said["Environment"]["Variables"] == spec.environment
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            await asyncio.to_thread(ask, FunctionName="none")


@in_loop
async def test_an_api_returns_the_function_and_timeout_of_a_route(
    tmp_path: Path,
) -> None:
    async with small_stack(tmp_path) as stack:
        ask = stack.aws("apigateway").get_resources
        found = await asyncio.to_thread(ask, restApiId=stack.template.ref("Api"), embed=["methods"])
        route = stack.template.document["Resources"]["Api"]["Properties"]["Body"]["paths"]
        assert {each["path"] for each in found["items"]} == {*route}
        integrations = [
            method["methodIntegration"]
            for each in found["items"]
            for method in each["resourceMethods"].values()
        ]
        echo = stack.template.attribute("EchoFunction", "Arn")
        assert any(f"/functions/{echo}/" in each["uri"] for each in integrations)
        assert {each["timeoutInMillis"] for each in integrations} >= {29_000}

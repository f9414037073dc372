"""Who gets in: authorizer, client keys, throttles, quotas."""

from pathlib import Path

import aiohttp
import pytest

from local.stack import Stack
from tests.local.small_stack import AUTHORIZED, CLIENT_KEY, client, in_loop, small_stack


async def status(stack: Stack, path: str, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(stack.base_url, headers=headers) as session,
        session.get(path) as response,
    ):
        return response.status


def authorized_tokens(tmp_path: Path) -> list[str]:
    calls = tmp_path / "authorizer-calls"
    return calls.read_text().split() if calls.exists() else []


@in_loop
async def test_an_authorizer_is_called_once_for_a_token(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack:
        for path in ("/echo/a", "/echo/b", "/echo/fixed"):
            assert await status(stack, path, CLIENT_KEY) == 200
    assert authorized_tokens(tmp_path) == [CLIENT_KEY]


@pytest.mark.parametrize("header", [None, "Bearer short", "Basic dXNlcjpwYXNzd29yZDpwYXNz"])
@in_loop
async def test_a_missing_or_malformed_token_does_not_invoke_the_authorizer(
    tmp_path: Path, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    async with (
        small_stack(tmp_path) as stack,
        aiohttp.ClientSession(stack.base_url, headers=headers) as session,
        session.get("/echo/a") as response,
    ):
        assert response.status == 401
        assert await response.json() == {"who": "Unauthorized"}
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["x-asked"] == response.headers["x-amzn-RequestId"]
    assert authorized_tokens(tmp_path) == []


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("a-token-that-is-unauthorized", 401),
        ("a-token-that-is-denied", 403),
        ("a-token-that-is-failing", 500),
        ("a-token-on-no-usage-plan", 403),
    ],
)
@in_loop
async def test_a_rejected_token_is_refused(tmp_path: Path, token: str, expected: int) -> None:
    async with small_stack(tmp_path) as stack:
        assert await status(stack, "/echo/a", token) == expected


@in_loop
async def test_a_burst_over_the_plans_limit_is_throttled(tmp_path: Path) -> None:
    limits = {"Rate": 0.001, "Burst": 2}
    async with small_stack(tmp_path, parameters=limits) as stack:
        codes = [await status(stack, "/echo/a", CLIENT_KEY) for _ in range(3)]
    assert codes == [200, 200, 429]


@in_loop
async def test_an_exhausted_quota_is_reported(tmp_path: Path) -> None:
    async with (
        small_stack(tmp_path, parameters={"Quota": 1}) as stack,
        client(stack) as session,
    ):
        async with session.get("/echo/a") as response:
            assert response.status == 200
        async with session.get("/echo/a") as response:
            assert response.status == 429
            assert await response.json() == {"message": "Limit Exceeded"}


@in_loop
async def test_a_key_created_while_the_stack_runs_is_accepted(tmp_path: Path) -> None:
    token = "a-key-that-was-made-later"
    async with small_stack(tmp_path) as stack:
        gateway = stack.aws("apigateway")
        plan = stack.template.ref("UsagePlan")
        key = gateway.create_api_key(name="later", value=token, enabled=True)["id"]
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        assert await status(stack, "/echo/a", token) == 200


@pytest.mark.parametrize("end", ["delete", "disable"])
@in_loop
async def test_a_revoked_key_is_rejected_at_once(tmp_path: Path, end: str) -> None:
    token = f"a-key-to-be-taken-back-by-{end}"
    async with small_stack(tmp_path) as stack:
        gateway = stack.aws("apigateway")
        plan = stack.template.ref("UsagePlan")
        key = gateway.create_api_key(name="passing", value=token, enabled=True)["id"]
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        assert await status(stack, "/echo/a", token) == 200
        if end == "delete":
            gateway.delete_api_key(apiKey=key)
        else:
            off = {"op": "replace", "path": "/enabled", "value": "false"}
            gateway.update_api_key(apiKey=key, patchOperations=[off])
        assert await status(stack, "/echo/a", token) == 403


@in_loop
async def test_a_plan_created_while_the_stack_runs_applies_at_once(tmp_path: Path) -> None:
    token = "a-key-on-a-plan-of-its-own"
    async with small_stack(tmp_path) as stack:
        gateway = stack.aws("apigateway")
        shared = gateway.get_usage_plan(usagePlanId=stack.template.ref("UsagePlan"))
        plan = gateway.create_usage_plan(
            name="own", apiStages=shared["apiStages"], quota={"limit": 1, "period": "DAY"}
        )["id"]
        key = gateway.create_api_key(name="own", value=token, enabled=True)["id"]
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        assert [await status(stack, "/echo/a", token) for _ in range(2)] == [200, 429]
        more = {"op": "replace", "path": "/quota/limit", "value": "3"}
        gateway.update_usage_plan(usagePlanId=plan, patchOperations=[more])
        codes = [await status(stack, "/echo/a", token) for _ in range(3)]
        assert codes == [200, 200, 429]  # what was used before counts on


@in_loop
async def test_the_authorizer_cache_time_is_configurable(tmp_path: Path) -> None:
    async with small_stack(tmp_path, authorizer_ttl_seconds=0) as stack:
        for _ in range(2):
            assert await status(stack, "/echo/a", CLIENT_KEY) == 200
    assert authorized_tokens(tmp_path) == [CLIENT_KEY] * 2


@in_loop
async def test_an_open_route_needs_no_key_but_has_a_throttle(tmp_path: Path) -> None:
    async with small_stack(tmp_path) as stack:
        assert await status(stack, "/open") == 200
        assert [await status(stack, "/narrow") for _ in range(3)] == [200, 200, 429]
    assert authorized_tokens(tmp_path) == []


@in_loop
async def test_a_header_of_any_case_authorizes(tmp_path: Path) -> None:
    headers = {"aUTHORIZATION": AUTHORIZED["Authorization"]}
    async with (
        small_stack(tmp_path) as stack,
        aiohttp.ClientSession(stack.base_url, headers=headers) as session,
        session.get("/echo/a") as response,
    ):
        assert response.status == 200

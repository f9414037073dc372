"""Only a page of the stack itself can read the client key of `make run`."""

from pathlib import Path

import pytest

from local.client_key_route import PATH
from tests.local.small_stack import CLIENT_KEY, client, in_loop, small_stack

OWN = {"Sec-Fetch-Site": "same-origin"}
OTHER_ORIGINS = ("null", "http://evil.example", "http://localhost:{port}", "")
OTHER_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:80@localhost",
    "10.0.0.1:{port}",
    "[::1]:{port}",
    "127.1",
    "localhost\t1",
    "localhost:",
    "localhost:8080:1",
)


async def fetched(
    tmp_path: Path, headers: dict[str, str], method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    """Call the route; {port} in a header's value is the port of the stack."""
    async with small_stack(tmp_path) as stack, client(stack) as session:
        del session.headers["Authorization"]
        port = stack.base_url.rpartition(":")[2]
        headers = {name: value.replace("{port}", port) for name, value in headers.items()}
        async with session.request(method, PATH, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.text()


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        OWN | {"Host": "localhost:{port}"},
        OWN | {"Origin": "http://127.0.0.1:{port}"},
        OWN | {"Host": "localhost:9090", "Origin": "http://localhost:9090"},  # an SSH tunnel
    ],
)
@in_loop
async def test_a_page_of_the_stack_gets_the_key(tmp_path: Path, headers: dict[str, str]) -> None:
    status, received, body = await fetched(tmp_path, headers)
    assert (status, body) == (200, f'{{"client_key": "{CLIENT_KEY}"}}')
    assert received["Cache-Control"] == "no-store"
    assert received["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none", "")),
        *(OWN | {"Host": host} for host in OTHER_HOSTS),
        *(OWN | {"Origin": origin} for origin in OTHER_ORIGINS),
        OWN | {"Host": "evil.example", "Origin": "http://evil.example"},
        OWN | {"X-Forwarded-Host": "relay.example"},
        OWN | {"X-Forwarded-For": "203.0.113.7"},
        OWN | {"Forwarded": "for=203.0.113.7"},
    ],
    ids=str,
)
@in_loop
async def test_all_other_callers_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    status, received, body = await fetched(tmp_path, headers)
    assert status in (400, 403)
    assert CLIENT_KEY not in body
    assert not [name for name in received if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "HEAD"])
@in_loop
async def test_other_methods_get_neither_the_key_nor_permission(
    tmp_path: Path, method: str
) -> None:
    status, received, body = await fetched(tmp_path, OWN, method)
    assert (status, CLIENT_KEY in body) == (403, False)
    assert not [name for name in received if name.lower().startswith("access-control-")]

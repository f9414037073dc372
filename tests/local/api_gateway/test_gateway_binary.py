"""Bodies that are no text, on their way through the gateway."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.local.batch_stack import batch_stack
from tests.local.small_stack import in_loop

ANSWER = {"statusCode": 200, "body": "/w==", "isBase64Encoded": True}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", "/2E="),
        ("image/png", "/2E="),
        ("IMAGE/PNG", "/2E="),
        ("text/plain", "\ufffda"),
        (None, "\ufffda"),
    ],
)
@in_loop
async def test_a_body_is_base64_if_its_type_is_a_binary_one(
    tmp_path: Path, content_type: str | None, body: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    async with (
        batch_stack(tmp_path) as stack,
        aiohttp.ClientSession(stack.base_url, skip_auto_headers=["Content-Type"]) as session,
        session.post("/echo", data=b"\xffa", headers=headers) as response,
    ):
        event: dict[str, Any] = await response.json(content_type=None)
    assert (event["body"], event["isBase64Encoded"]) == (body, body == "/2E=")


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("image/png", b"\xff"),
        ("image/png;q=0.9, text/html", b"\xff"),
        ("text/html, image/png", b"/w=="),
        ("*/*", b"/w=="),
    ],
)
@in_loop
async def test_an_answer_is_decoded_if_the_first_accepted_type_is_binary(
    tmp_path: Path, accept: str, body: bytes
) -> None:
    async with (
        batch_stack(tmp_path) as stack,
        aiohttp.ClientSession(stack.base_url) as session,
        session.post("/echo", json={"answer": ANSWER}, headers={"Accept": accept}) as response,
    ):
        assert await response.read() == body

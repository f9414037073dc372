"""GET /."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from functions.playground.handler import PAGE, handler
from local.vectors import playground_module, read_vectors

if TYPE_CHECKING:
    import pytest

ANSWER = handler({}, None)
BODY, HEADERS = ANSWER["body"], ANSWER["headers"]


def test_the_page_has_an_exact_content_type() -> None:
    assert ANSWER["statusCode"] == 200
    assert HEADERS["content-type"] == "text/html; charset=utf-8"
    assert HEADERS["x-content-type-options"] == "nosniff"
    assert HEADERS["referrer-policy"] == "no-referrer"


def test_the_policy_names_the_page_s_own_style_and_script_and_nothing_else() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", BODY, re.DOTALL)
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", BODY, re.DOTALL)
    policy = dict(part.split(" ", 1) for part in HEADERS["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": named(script),
        "style-src": named(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def named(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_page_loads_nothing_from_other_hosts() -> None:
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["'](.+?)["']""", BODY)
    assert [each for each in addresses if not each.startswith("data:")] == []
    assert "import" not in re.findall(r"^\w+", BODY, re.MULTILINE)


def test_every_file_of_the_page_is_in_it() -> None:
    page = (PAGE / "index.html").read_text()
    files = {path.name for path in PAGE.iterdir()} - {"index.html"}
    assert set(re.findall(r'(?:href|src)="(\w+\.(?:css|js))"', page)) == files


def test_no_file_inserts_text_as_markup() -> None:
    texts = "".join(path.read_text() for path in PAGE.glob("*.js"))
    assert re.findall("innerHTML|outerHTML|insertAdjacentHTML|document.write", texts) == []


def test_the_page_s_test_vectors_are_those_of_the_events() -> None:
    kept = (PAGE / "vectors.js").read_text()
    assert kept == playground_module(read_vectors()), "renew them with: make vectors"


def test_the_playground_can_be_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND", "off")
    answer = handler({}, None)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (404, "unknown_route")
    assert set(error) == {"message", "type", "param", "code"}


def test_it_contains_no_key() -> None:
    assert re.findall(r"\b(?:sk|ak)[-_][\w-]{8,}", BODY) == []

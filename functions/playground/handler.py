"""GET /."""

import json
import os
import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("page")
STYLES = re.compile(r'(?:<link rel="stylesheet" href="[^"]+">\s*)+')
SCRIPTS = re.compile(r'(?:<script type="module" src="[^"]+"></script>\s*)+')
FILE = re.compile(r'(?:href|src)="([^"]+)"')
MODULE_SYNTAX = re.compile(r"^(?:import .*;\n|export )", re.MULTILINE)
SWITCHED_OFF = {
    "message": "The playground of this endpoint is disabled. The API's base URL ends in /v1.",
    "type": "invalid_request_error",
    "param": None,
    "code": "unknown_route",
}


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return the playground, unless it is switched off."""
    if os.environ.get("PLAYGROUND") == "off":
        return answer(404, "application/json", json.dumps({"error": SWITCHED_OFF}))
    return playground()


@cache
def playground() -> dict[str, Any]:
    """Return the page as one document whose policy allows only its own styles and scripts."""
    page = (PAGE / "index.html").read_text("utf-8")
    style, script = text_of(STYLES, page), text_of(SCRIPTS, page)
    page = STYLES.sub(lambda _: f"<style>{style}</style>\n", page)
    page = SCRIPTS.sub(lambda _: f'<script type="module">{script}</script>\n', page)
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; "
        "connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer(200, "text/html; charset=utf-8", page, {"content-security-policy": policy})


def text_of(tags: re.Pattern[str], page: str) -> str:
    """Return the joined content of the files that the page's tags name."""
    files = (FILE.findall(found) for found in tags.findall(page))
    texts = [(PAGE / name).read_text("utf-8") for names in files for name in names]
    return MODULE_SYNTAX.sub("", "".join(texts))


def digest(text: str) -> str:
    """Return the hash of a text for a Content-Security-Policy."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def answer(
    status: int, kind: str, body: str, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return an answer with headers against content sniffing and referrer leaks."""
    fixed = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    return {
        "statusCode": status,
        "headers": {"content-type": kind, "cache-control": "no-cache", **fixed, **(headers or {})},
        "body": body,
    }

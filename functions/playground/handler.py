"""GET /: serves the playground page."""

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
        error = json.dumps({"error": SWITCHED_OFF})
        return _answer(404, {"content-type": "application/json"}, error)
    return _playground()


@cache
def _playground() -> dict[str, Any]:
    """Return the page as one document whose policy allows only its own styles and scripts."""
    page = (PAGE / "index.html").read_text("utf-8")
    style, script = _text_of(STYLES, page), _text_of(SCRIPTS, page)
    page = STYLES.sub(lambda _: f"<style>{style}</style>\n", page)
    page = SCRIPTS.sub(lambda _: f'<script type="module">{script}</script>\n', page)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
    return _answer(200, headers, page)


def _text_of(tags: re.Pattern[str], page: str) -> str:
    """Return the joined content of the files that the page's tags name."""
    files = (FILE.findall(found) for found in tags.findall(page))
    texts = [(PAGE / name).read_text("utf-8") for names in files for name in names]
    return MODULE_SYNTAX.sub("", "".join(texts))


def _digest(text: str) -> str:
    """Return the hash of a text for a Content-Security-Policy."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _answer(status: int, headers: dict[str, str], body: str) -> dict[str, Any]:
    """Return an answer with headers against stale copies, content sniffing and referrer leaks."""
    safe = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    headers = {"cache-control": "no-cache", **safe, **headers}
    return {"statusCode": status, "headers": headers, "body": body}

"""GET /health."""

from __future__ import annotations

import json

from functions.health.handler import handler


def test_health_is_ok_without_calling_a_service() -> None:
    answer = handler({}, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})

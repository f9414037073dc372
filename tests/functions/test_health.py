"""GET /health."""

from __future__ import annotations

import json

from functions.health.handler import handler


def test_it_is_well_without_asking_anyone() -> None:
    answer = handler({}, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})

"""The guide's Lambda handler: one `requests.post` for each event."""

import json
import os
from typing import Any

import requests


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Call the provider and hand its answer on."""
    response = requests.post(
        os.environ["UPSTREAM_BASE_URL"] + "/chat/completions",
        headers={"Authorization": f"Bearer {os.environ['ABLIT_KEY']}"},
        json=json.loads(event["body"]),
        timeout=60,
    )
    return {"statusCode": response.status_code, "body": json.dumps(response.json())}

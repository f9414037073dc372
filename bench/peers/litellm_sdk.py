"""A Lambda handler on the litellm SDK."""

import json
import os
from typing import Any

import litellm  # type: ignore[import-not-found] # in its own environment


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Call the provider and hand its answer on."""
    body = json.loads(event["body"])
    completion = litellm.completion(
        **body | {"model": f"openai/{body['model']}"},
        api_base=os.environ["UPSTREAM_BASE_URL"],
        api_key=os.environ["ABLIT_KEY"],
    )
    return {"statusCode": 200, "body": completion.model_dump_json()}

"""A Lambda handler on the openai SDK."""

import json
import os
from typing import Any

from openai import OpenAI

client = OpenAI(base_url=os.environ["UPSTREAM_BASE_URL"], api_key=os.environ["ABLIT_KEY"])


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Call the provider and hand its answer on."""
    completion = client.chat.completions.create(**json.loads(event["body"]))
    return {"statusCode": 200, "body": completion.model_dump_json()}

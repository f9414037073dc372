"""The sample events and their expected results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EVENTS = ROOT / "events"
OK = 200
STREAM_ENDS = ("data: [DONE]", "event: response.completed")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sample event and its expected result."""

    path: Path
    contains: str = ""
    error: Json | None = None

    @property
    def folder(self) -> str:
        """Folder of the function that the event is for."""
        return self.path.parent.name

    @property
    def function(self) -> str:
        """Logical id of the function that the event is for."""
        return self.folder.replace("_", " ").title().replace(" ", "") + "Function"

    @property
    def event(self) -> Json:
        """The event itself."""
        value: Json = json.loads(self.path.read_text())
        return value


def cases() -> list[Case]:
    """Return every sample event with its expected result of the two manifests."""
    vectors = json.loads((EVENTS / "vectors.json").read_text())
    errors = json.loads((EVENTS / "errors.json").read_text())
    contains = {row["event"]: row["expect"]["contains"] for row in vectors}
    expected = {row["event"]: row["expect"] for row in errors}
    return [
        Case(path=path, contains=contains.get(name, ""), error=expected.get(name))
        for path in sorted(EVENTS.glob("*/*.json"))
        for name in [str(path.relative_to(EVENTS))]
    ]


def text_of(body: str) -> str:
    """Return the model's text out of an answer of either surface, whole or streamed."""
    if not body.startswith("{"):
        lines = [line for line in body.splitlines() if line.startswith("data: {")]
        return "".join(delta_of(json.loads(line.removeprefix("data: "))) for line in lines)
    answer = json.loads(body)
    if "choices" in answer:
        return str(answer["choices"][0]["message"].get("content") or "")
    items = [item for item in answer.get("output", []) if item["type"] == "message"]
    return "".join(part["text"] for item in items for part in item["content"])


def delta_of(frame: Json) -> str:
    """Return the text that one frame of a stream adds."""
    if frame.get("type") == "response.output_text.delta":
        return str(frame["delta"])
    choices = frame.get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")


def check_answer(case: Case, result: Json) -> str:
    """Return the failure of an answer to API Gateway, or an empty string."""
    if "statusCode" not in result:
        return f"no proxy answer: {json.dumps(result)[:300]}"
    status, body = result["statusCode"], result["body"]
    if case.error is not None:
        return check_error(case.error, status, body)
    if status != OK:
        return f"status {status}: {body[:300]}"
    if asks_for_stream(case) and not any(end in body for end in STREAM_ENDS):
        return f"the stream has no end: {body[-300:]}"
    if case.contains.casefold() not in text_of(body).casefold():
        return f"{case.contains!r} is not in {text_of(body)[:300]!r}"
    return ""


def check_authorizer(case: Case, result: Json) -> str:
    """Return the failure of the authorizer, which refuses with this one error message."""
    if case.error is not None:
        refused = result.get("errorMessage") == "Unauthorized"
        return "" if refused else f"not refused: {json.dumps(result)[:300]}"
    key = case.event["authorizationToken"].removeprefix("Bearer ")
    named = result.get("usageIdentifierKey") == key
    return "" if named else f"the key is not returned: {sorted(result)}"


def check_error(expected: Json, status: int, body: str) -> str:
    """Return how an error differs from its row of the manifest, or an empty string."""
    error = json.loads(body).get("error") or {}
    found = {"status": status, "code": error.get("code"), "param": error.get("param")}
    return "" if found == expected else f"{found} instead of {expected}: {error.get('message')}"


def asks_for_stream(case: Case) -> bool:
    """Tell whether the caller wants a stream."""
    event = case.event
    body = None if event.get("isBase64Encoded") else event.get("body")
    return bool(body and json.loads(body).get("stream"))

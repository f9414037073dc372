"""How the same thing is asked and read on each of the two endpoints, with the official client."""

from __future__ import annotations

import json
from typing import Any, Protocol

from tests.e2e.variants import get_weather

Fields = dict[str, Any]
_TOOL: Fields = {
    "name": "get_weather",
    "description": "Return the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Surface(Protocol):
    """An endpoint as the official client shows it; `turns` and the like name its fields."""

    turns: str
    limit: str
    format: str
    final: str

    def of(self, client: Any) -> Any: ...
    def request_fields(self, content: str | list[Fields]) -> Fields: ...
    def text(self, answer: Any) -> str: ...
    def text_of_events(self, events: list[Any]) -> str: ...
    def parsed(self, answer: Any) -> Any: ...
    def is_cut(self, answer: Any) -> bool: ...
    def parts(self, text: str, image_url: str) -> list[Fields]: ...
    def tool(self, *, strict: bool = True) -> Fields: ...
    def tool_turns(self, answer: Any) -> list[Any]: ...


class Chat:
    """POST /v1/chat/completions."""

    turns = "messages"
    limit = "max_completion_tokens"
    format = "response_format"
    final = "get_final_completion"

    def of(self, client: Any) -> Any:
        return client.chat.completions

    def request_fields(self, content: str | list[Fields]) -> Fields:
        return {self.turns: [{"role": "user", "content": content}]}

    def text(self, answer: Any) -> str:
        return str(answer.choices[0].message.content)

    def text_of_events(self, events: list[Any]) -> str:
        return "".join(c.delta.content or "" for chunk in events for c in chunk.choices)

    def parsed(self, answer: Any) -> Any:
        return answer.choices[0].message.parsed

    def is_cut(self, answer: Any) -> bool:
        return bool(answer.choices[0].finish_reason == "length")

    def parts(self, text: str, image_url: str) -> list[Fields]:
        image = {"type": "image_url", "image_url": {"url": image_url}}
        return [{"type": "text", "text": text}, image]

    def tool(self, *, strict: bool = True) -> Fields:
        return {"type": "function", "function": {**_TOOL, "strict": strict}}

    def tool_turns(self, answer: Any) -> list[Any]:
        """Return the turns that answer the tool calls of *answer*; none if it made none."""
        message = answer.choices[0].message
        outputs = [
            {
                "role": "tool",
                "tool_call_id": call.id,
                "content": _run(call.function.name, call.function.arguments),
            }
            for call in message.tool_calls or []
        ]
        return [message, *outputs] if outputs else []


class Responses:
    """POST /v1/responses."""

    turns = "input"
    limit = "max_output_tokens"
    format = "text_format"
    final = "get_final_response"

    def of(self, client: Any) -> Any:
        return client.responses

    def request_fields(self, content: str | list[Fields]) -> Fields:
        return {self.turns: [{"role": "user", "content": content}]}

    def text(self, answer: Any) -> str:
        return str(answer.output_text)

    def text_of_events(self, events: list[Any]) -> str:
        return "".join(e.delta for e in events if e.type == "response.output_text.delta")

    def parsed(self, answer: Any) -> Any:
        return answer.output_parsed

    def is_cut(self, answer: Any) -> bool:
        cut = answer.incomplete_details
        return bool(answer.status == "incomplete" and cut.reason == "max_output_tokens")

    def parts(self, text: str, image_url: str) -> list[Fields]:
        image = {"type": "input_image", "image_url": image_url, "detail": "auto"}
        return [{"type": "input_text", "text": text}, image]

    def tool(self, *, strict: bool = True) -> Fields:
        return {"type": "function", **_TOOL, "strict": strict}

    def tool_turns(self, answer: Any) -> list[Any]:
        """Return the turns that answer the tool calls of *answer*; none if it made none."""
        outputs = [
            {
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": _run(item.name, item.arguments),
            }
            for item in answer.output
            if item.type == "function_call"
        ]
        return [*answer.output, *outputs] if outputs else []


def _run(name: str, arguments: str) -> str:
    assert name == "get_weather"
    return get_weather(**json.loads(arguments))

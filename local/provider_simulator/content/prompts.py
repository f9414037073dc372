"""Parse validated requests of both endpoints into prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.provider_simulator.wire import Json

TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The inputs of an answer; `word_limit` counts words as tokens."""

    text: str
    prompt_words: int
    media: Sequence[str] = ()
    tool_output: str | None = None
    function: Json | None = None
    legacy_function: bool = False
    wants_json: bool = False
    schema: Json | None = None
    word_limit: int | None = None
    stops: Sequence[str] = ()
    choices: int = 1
    has_reasoning: bool = True
    wants_usage: bool = False


def from_chat(body: Json) -> Prompt:
    """Return the prompt of a chat completion request."""
    messages: list[Json] = body["messages"]
    user_message = _last_user_message(messages)
    last = messages[-1]
    stop = body.get("stop") or ()
    return Prompt(
        text=_text_of(user_message.get("content")),
        prompt_words=sum(_count_words(message.get("content")) for message in messages),
        media=_media_of(user_message.get("content")),
        tool_output=_text_of(last.get("content")) if last["role"] in ("tool", "function") else None,
        function=_chat_function(body) if last["role"] == "user" else None,
        legacy_function=bool(body.get("functions")) and not body.get("tools"),
        word_limit=body.get("max_tokens"),
        stops=(stop,) if isinstance(stop, str) else tuple(stop),
        choices=body.get("n") or 1,
        has_reasoning=body.get("reasoning_effort") != "none" and body.get("thinking") is not False,
        wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        **_format(body.get("response_format") or {}, "json_schema"),
    )


def from_responses(body: Json) -> Prompt:
    """Return the prompt of a Responses request."""
    value = body.get("input") or ""
    items: list[Json] = [{"role": "user", "content": value}] if isinstance(value, str) else value
    user_message = _last_user_message(items)
    last = items[-1]
    is_output = last.get("type") == "function_call_output"
    prompt_words = sum(_count_words(item.get("content", item.get("output"))) for item in items)
    return Prompt(
        text=_text_of(user_message.get("content")),
        prompt_words=prompt_words + _count_words(body.get("instructions")),
        media=_media_of(user_message.get("content")),
        tool_output=_text_of(last.get("output")) if is_output else None,
        function=_responses_function(body) if last.get("role") == "user" else None,
        word_limit=body.get("max_output_tokens"),
        has_reasoning=(body.get("reasoning") or {}).get("effort") != "none",
        **_format((body.get("text") or {}).get("format") or {}, ""),
    )


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] in TEXT_PARTS)
    return content or ""


def _media_of(content: Any) -> tuple[str, ...]:
    parts = content if isinstance(content, list) else []
    return tuple(
        f"{'an image' if 'image' in kind else 'a video'}: {_name(media_url(part))}"
        for part in parts
        if (kind := part.get("type", "")).endswith(("image", "image_url", "video_url"))
    )


def media_url(part: Json) -> str:
    """Return the URL in an image or video part of either endpoint."""
    value = part.get("image_url", part.get("video_url"))
    return str(value.get("url", "") if isinstance(value, dict) else value or "")


def _name(url: str) -> str:
    if not url.startswith("data:"):
        return url.partition("?")[0].rstrip("/").rpartition("/")[2]
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return f"{media_type}, {len(data) * 3 // 4 - data[-2:].count('=')} bytes"


def _last_user_message(items: list[Json]) -> Json:
    return next((item for item in reversed(items) if item.get("role") == "user"), {})


def _count_words(content: Any) -> int:
    return len(_text_of(content).split())


def _chat_function(body: Json) -> Json | None:
    tools = [tool["function"] for tool in body.get("tools") or []]
    choice = body.get("tool_choice") if tools else body.get("function_call")
    if isinstance(choice, dict):
        choice = choice.get("function", choice)
    return _select_function(tools or body.get("functions") or [], choice)


def _responses_function(body: Json) -> Json | None:
    functions = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return _select_function(functions, body.get("tool_choice"))


def _select_function(functions: list[Json], choice: Any) -> Json | None:
    if choice == "none" or not functions:
        return None
    name = choice.get("name") if isinstance(choice, dict) else None
    return next((f for f in functions if f["name"] == name), functions[0])


def _format(form: Json, wrapper: str) -> Json:
    kind = form.get("type")
    schema = (form.get(wrapper) or {} if wrapper else form).get("schema")
    return {
        "wants_json": kind in ("json_object", "json_schema"),
        "schema": schema if kind == "json_schema" else None,
    }

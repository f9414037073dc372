"""Checks of a message's content: a string, or parts of text, images, sound and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_relay.validation import rules
from llm_relay.validation.fields import Fields, refuse
from llm_relay.validation.images import is_web_address

# A model's message may hold tool calls in place of text, or nothing if it was cut short.
_ROLES_WITHOUT_CONTENT = {"assistant", "function"}
_MESSAGE = {"role": rules.text("Send one such as 'system', 'user' or 'assistant'.")}


def check_message(message: Fields, path: str, known: Mapping[str, rules.Rule]) -> None:
    """Refuse a message without a role or with content that is neither a string nor parts."""
    rules.check(message, _MESSAGE, path)
    content = message.get("content")
    is_empty = content is None or content == []
    if not (is_empty and message["role"] in _ROLES_WITHOUT_CONTENT):
        check_content(content, f"{path}.content", known)


def check_content(content: Any, path: str, known: Mapping[str, rules.Rule]) -> None:
    """Refuse content that is neither a string nor a list of valid parts."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        refuse(path, "must be a string or a list of content parts.")
    if not content:
        refuse(path, "must hold at least one content part. Send a string if there is only text.")
    for index, part in enumerate(content):
        _check_part(part, f"{path}[{index}]", known)


def _check_part(part: Any, path: str, known: Mapping[str, rules.Rule]) -> None:
    if not isinstance(part, dict):
        refuse(path, f"must be an object with a 'type': {', '.join(known)} are known here.")
    kind = part.get("type")
    if not isinstance(kind, str) or not kind.strip():
        why = f"must be a non-empty string. The types {', '.join(known)} are known here."
        refuse(f"{path}.type", why)
    # Unknown types pass, so that new ones work without a release.
    if check := known.get(kind):
        check(part, path)


def _check_input_image(part: Fields, path: str) -> None:
    rules.check(part, {"detail": rules.OPTIONAL_STRING, "file_id": rules.OPTIONAL_STRING}, path)
    if part.get("file_id") is None or part.get("image_url") is not None:
        advice = "The Responses API takes the URL itself, not an object around it."
        rules.check(part, {"image_url": rules.string(advice)}, path)


def _check_file(file: Any, path: str) -> None:
    rules.object_with('{"file_data": "...", "filename": "a.pdf"}')(file, path)
    names = ("file_data", "file_id", "file_url")
    rules.check(file, dict.fromkeys((*names, "filename"), rules.OPTIONAL_STRING), path)
    if not any(file.get(name) for name in names):
        refuse(path, "holds no file. Send 'file_data' or 'file_id'.")


def _check_video_url(url: Any, path: str) -> None:
    rules.string()(url, path)
    if not is_web_address(url) and url[:5].lower() != "data:":
        refuse(path, "must be an https:// URL or a data URL such as 'data:video/mp4;...'.")


def _part(**fields: rules.Rule) -> rules.Rule:
    return lambda part, path: rules.check(part, fields, path)


_IMAGE = rules.object_with(
    '{"url": "https://example.com/image.png"}', url=rules.string(), detail=rules.OPTIONAL_STRING
)
_VIDEO = rules.object_with('{"url": "https://example.com/video.mp4"}', url=_check_video_url)
_SOUND = rules.object_with(
    '{"data": "<base64>", "format": "wav"}', data=rules.text(), format=rules.text()
)
CHAT_PARTS: Mapping[str, rules.Rule] = {
    "text": _part(text=rules.string()),
    "image_url": _part(image_url=_IMAGE),
    "video_url": _part(video_url=_VIDEO),
    "input_audio": _part(input_audio=_SOUND),
    "file": _part(file=_check_file),
    "refusal": _part(refusal=rules.string()),
}
RESPONSES_PARTS: Mapping[str, rules.Rule] = {
    "input_text": CHAT_PARTS["text"],
    "input_image": _check_input_image,
    "input_audio": CHAT_PARTS["input_audio"],
    "input_file": _check_file,
    "output_text": CHAT_PARTS["text"],
    "refusal": CHAT_PARTS["refusal"],
}

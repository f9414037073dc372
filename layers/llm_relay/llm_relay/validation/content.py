"""Checks of what a message holds: a string, or parts of text, images, sound and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llm_relay.validation.fields import (
    Fields,
    may_be_string,
    needs_object,
    needs_string,
    needs_text,
    refuse,
)
from llm_relay.validation.images import is_web_address

if TYPE_CHECKING:
    PartChecks = Mapping[str, Callable[[Fields, str], None]]

# A model's turn may hold tool calls in place of text, or nothing if it was cut short.
_MAY_SAY_NOTHING = {"assistant", "function"}
_VIDEO_EXAMPLE = '{"url": "https://example.com/video.mp4"}'
_IMAGE_EXAMPLE = '{"url": "https://example.com/image.png"}'


def check_message(message: Fields, path: str, known: PartChecks) -> None:
    """Refuse a message without a role or with content that is neither a string nor parts."""
    needs_text(message, "role", "Send one such as 'system', 'user' or 'assistant'.", path)
    content = message.get("content")
    says_nothing = content is None or content == []
    if not (says_nothing and message["role"] in _MAY_SAY_NOTHING):
        check_content(content, f"{path}.content", known)


def check_content(content: Any, path: str, known: PartChecks) -> None:
    """Refuse content that is neither a string nor a list of parts as they should be."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        refuse(path, "must be a string or a list of content parts.")
    if not content:
        refuse(path, "must hold at least one content part. Send a string if there is only text.")
    for index, part in enumerate(content):
        _check_part(part, f"{path}[{index}]", known)


def _check_part(part: Any, path: str, known: PartChecks) -> None:
    kinds = f"{', '.join(known)} are known here."
    if not isinstance(part, dict):
        refuse(path, f"must be an object with a 'type': {kinds}")
    # Unknown types pass, so that new ones work without a release.
    check = known.get(needs_text(part, "type", f"The types {kinds}", path))
    if check:
        check(part, path)


def _text(part: Fields, path: str) -> None:
    needs_string(part, "text", within=path)


def _refusal(part: Fields, path: str) -> None:
    needs_string(part, "refusal", within=path)


def _image_url(part: Fields, path: str) -> None:
    holder, path = needs_object(part, "image_url", _IMAGE_EXAMPLE, path), f"{path}.image_url"
    needs_string(holder, "url", within=path)
    may_be_string(holder, "detail", path)


def _video_url(part: Fields, path: str) -> None:
    holder, path = needs_object(part, "video_url", _VIDEO_EXAMPLE, path), f"{path}.video_url"
    url = needs_string(holder, "url", within=path)
    if not is_web_address(url) and url[:5].lower() != "data:":
        refuse(f"{path}.url", "must be an https:// URL or a data URL such as 'data:video/mp4;...'.")


def _input_image(part: Fields, path: str) -> None:
    may_be_string(part, "detail", path)
    may_be_string(part, "file_id", path)
    if part.get("file_id") is None or part.get("image_url") is not None:
        advice = "The Responses API takes the URL itself, not an object around it."
        needs_string(part, "image_url", advice, path)


def _input_audio(part: Fields, path: str) -> None:
    holder = needs_object(part, "input_audio", '{"data": "<base64>", "format": "wav"}', path)
    for name in ("data", "format"):
        needs_text(holder, name, within=f"{path}.input_audio")


def _file(part: Fields, path: str) -> None:
    holder = needs_object(part, "file", '{"file_data": "...", "filename": "a.pdf"}', path)
    _input_file(holder, f"{path}.file")


def _input_file(holder: Fields, path: str) -> None:
    for name in ("file_data", "file_id", "file_url", "filename"):
        may_be_string(holder, name, path)
    if not any(holder.get(name) for name in ("file_data", "file_id", "file_url")):
        refuse(path, "holds no file. Send 'file_data' or 'file_id'.")


CHAT_PARTS: PartChecks = {
    "text": _text,
    "image_url": _image_url,
    "video_url": _video_url,
    "input_audio": _input_audio,
    "file": _file,
    "refusal": _refusal,
}
RESPONSES_PARTS: PartChecks = {
    "input_text": _text,
    "input_image": _input_image,
    "input_audio": _input_audio,
    "input_file": _input_file,
    "output_text": _text,
    "refusal": _refusal,
}

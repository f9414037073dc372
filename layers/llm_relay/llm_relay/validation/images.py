"""Checks of images: where they come from, their type and size, and how many there are."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Any

from llm_relay.validation.fields import Fields, refuse

MAX_IMAGE_BYTES = 12 * 1024 * 1024  # of the provider; "12 MB" leaves open which megabyte
MAX_IMAGES = 1500  # as OpenAI: a long conversation may hold many
_HEAD_CHARACTERS = 256  # more than any data URL has before its comma
_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_PART_TYPES = ("image_url", "input_image")


def is_web_address(url: str) -> bool:
    """Tell whether a URL has the scheme and the beginning of a host."""
    scheme, _, rest = url[:300].partition("://")
    return scheme.lower() in ("https", "http") and rest[:1] not in ("", "/", "?", "#", " ")


def _check_url(url: str, path: str) -> None:
    """Refuse an image that is neither at a web address nor in a data URL that can be read."""
    if is_web_address(url):
        return
    if url[:5].lower() != "data:":
        refuse(path, "must be an https:// URL or a data URL: 'data:image/png;base64,...'.")
    head, _, data = url.partition(",")
    media_type, *parameters = head[5:_HEAD_CHARACTERS].lower().split(";")
    if media_type.strip() not in (*_TYPES, "image/jpg"):  # the last is common, not registered
        refuse(path, f"must hold {', '.join(_TYPES)}. Convert the image.")
    if not parameters or parameters[-1].strip() != "base64":
        refuse(path, "must be in base64: 'data:image/png;base64,...'.")
    _check_base64(data, path)


def check_images(body: Fields) -> None:
    """Refuse images that cannot be read, and more than any provider takes."""
    images = list(images_in(body))
    if len(images) > MAX_IMAGES:
        path, _ = images[MAX_IMAGES]
        refuse(path, f"is one image too many: {MAX_IMAGES} fit in a request. Leave some out.")
    for path, part in images:
        url, at = part.get("image_url"), f"{path}.image_url"
        if isinstance(url, dict):
            url, at = url.get("url"), f"{at}.url"
        if isinstance(url, str):
            _check_url(url, at)


def images_in(body: Fields) -> Iterator[tuple[str, Fields]]:
    """Yield every image part of either endpoint's body with its path, checked or not."""
    for name in ("messages", "input"):
        for index, turn in enumerate(_list(body.get(name))):
            for member in ("content", "output") if isinstance(turn, dict) else ():
                for number, part in enumerate(_list(turn.get(member))):
                    if isinstance(part, dict) and part.get("type") in _PART_TYPES:
                        yield f"{name}[{index}].{member}[{number}]", part


def _check_base64(data: str, path: str) -> None:
    if any(space in data for space in "\n\r\t "):
        data = "".join(data.split())  # data URLs may be wrapped
    size = len(data) * 3 // 4
    if size > MAX_IMAGE_BYTES:
        megabytes = MAX_IMAGE_BYTES // 1024**2
        refuse(
            path, f"holds an image over {megabytes} MB. Send a smaller one, or its https:// URL."
        )
    try:
        image = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        refuse(path, "is not valid base64. Send the file's bytes, encoded once and not cut off.")
    if not image:
        refuse(path, "holds no image after 'base64,'.")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

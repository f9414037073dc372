"""Content parts and images."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.core.errors import BadRequest
from llm_relay.validation.content import CHAT_PARTS, RESPONSES_PARTS, check_content
from llm_relay.validation.images import MAX_IMAGE_BYTES, MAX_IMAGES, check_images, images_in
from tests.unit.validation.bodies import PIXEL

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = base64.b64encode(b"x" * 768 * 1024).decode()


def chat(part: Any) -> None:
    check_content([part], "messages[2].content", CHAT_PARTS)
    check_images({"messages": [{}, {}, {"content": [part]}]})


def responses(part: Any) -> None:
    check_content([part], "input[0].content", RESPONSES_PARTS)
    check_images({"input": [{"content": [part]}]})


def image(url: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def param_of(check: Any, part: Any) -> str | None:
    with pytest.raises(BadRequest) as caught:
        check(part)
    return caught.value.param


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ("Hello", ""),
        ({}, ".type"),
        ({"type": 7}, ".type"),
        ({"text": "Hello"}, ".type"),
        ({"type": "text"}, ".text"),
        ({"type": "text", "text": ["Hello"]}, ".text"),
        ({"type": "refusal", "refusal": None}, ".refusal"),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, ".image_url"),
        (image(None), ".image_url.url"),
        (image(PIXEL, detail=1), ".image_url.detail"),
        ({"type": "video_url", "video_url": {"url": "a.mp4"}}, ".video_url.url"),
        ({"type": "input_audio"}, ".input_audio"),
        ({"type": "input_audio", "input_audio": {"data": "AA"}}, ".input_audio.format"),
        ({"type": "file", "file": {"filename": "a.pdf"}}, ".file"),
        ({"type": "file", "file": {"file_id": 7}}, ".file.file_id"),
    ],
)
def test_a_faulty_part_of_a_chat_message_is_refused_at_its_path(part: Any, param: str) -> None:
    assert param_of(chat, part) == f"messages[2].content[0]{param}"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_text", "text": None}, ".text"),
        ({"type": "output_text"}, ".text"),
        ({"type": "input_image"}, ".image_url"),
        ({"type": "input_image", "image_url": {"url": PIXEL}}, ".image_url"),
        ({"type": "input_image", "image_url": "a.png", "file_id": "file_1"}, ".image_url"),
        ({"type": "input_image", "file_id": 7}, ".file_id"),
        ({"type": "input_file", "filename": "a.pdf"}, ""),
    ],
)
def test_a_faulty_part_of_an_input_item_is_refused_at_its_path(part: Any, param: str) -> None:
    assert param_of(responses, part) == f"input[0].content[0]{param}"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "of_tomorrow", "text": 7},
        {"type": "text", "text": ""},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file_1", "filename": None}},
        image("https://example.com/a.png", detail=None),
        image("HTTP://127.0.0.1:8000/a"),
        image("https://[::1]/a.png"),
    ],
)
def test_a_valid_part_or_one_of_an_unknown_type_passes(part: Any) -> None:
    chat(part)


@pytest.mark.parametrize("content", [None, 7, {}, []])
def test_content_that_is_neither_a_string_nor_parts_is_refused(content: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        check_content(content, "messages[0].content", CHAT_PARTS)
    assert caught.value.param == "messages[0].content"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "https:// URL"),
        ("/home/me/a.png", "https:// URL"),
        ("https://", "https:// URL"),
        ("https:///a.png", "https:// URL"),
        ("file:///a.png", "https:// URL"),
        ("iVBORw0KGgo=", "https:// URL"),
        ("data:", "image/png, image/jpeg, image/webp, image/gif"),
        ("data:image/svg+xml;base64,AAAA", "image/png, image/jpeg, image/webp, image/gif"),
        ("data:application/pdf;base64,AAAA", "Convert the image"),
        ("data:image/png,AAAA", "in base64"),
        ("data:image/png;base64", "no image"),
        ("data:image/png;base64,", "no image"),
        ("data:image/png;base64,AAA", "not valid base64"),
        ("data:image/png;base64,A-_A", "not valid base64"),
        ("data:image/png;base64,=AAA", "not valid base64"),
        ("data:image/png;base64,AA==AAAA", "not valid base64"),
        ("data:image/png;base64,AAAé", "not valid base64"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_with_the_fix(url: str, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(image(url))
    assert caught.value.param == "messages[2].content[0].image_url.url"
    assert said in caught.value.message


def test_a_data_url_that_cannot_be_read_is_not_quoted() -> None:
    with pytest.raises(BadRequest) as caught:
        chat(image("data:sk-something-secret,AAAA"))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        PIXEL,
        PIXEL.replace("data:image/png", "DATA:IMAGE/PNG"),
        PIXEL.replace("png;", "jpg;"),
        PIXEL.replace("png;", "webp; charset=binary;"),
        PIXEL[:60] + "\n" + PIXEL[60:] + "\r\n",
    ],
)
def test_an_image_in_a_data_url_passes(url: str) -> None:
    chat(image(url))
    responses({"type": "input_image", "image_url": url})


def test_an_image_of_12_mb_passes_and_a_larger_one_is_refused() -> None:
    whole = base64.b64encode(bytes(MAX_IMAGE_BYTES)).decode()
    chat(image(f"data:image/png;base64,{whole}"))
    with pytest.raises(BadRequest, match="over 12 MB"):
        chat(image(f"data:image/png;base64,{whole}AAAA"))


@pytest.mark.parametrize("data", [MEGABYTE, "-" * 1_000_000, "A" * 1_000_000 + "é"])
def test_a_megabyte_of_base64_is_checked_faster_than_python_can_count_to_a_million(
    data: str,
) -> None:
    part = image(f"data:image/png;base64,{data}")
    counting = min(seconds_of(lambda: [None for _ in range(1_000_000)]) for _ in range(5))
    assert min(seconds_of(lambda: check_or_refuse(part)) for _ in range(20)) < counting


def check_or_refuse(part: Any) -> None:
    try:
        chat(part)
    except BadRequest as error:
        assert len(error.message) < 400


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def test_images_are_found_in_either_endpoint_s_body() -> None:
    part, item = image(PIXEL), {"type": "input_image", "image_url": PIXEL}
    body = {
        "messages": [{"content": "Hello"}, {"content": [{"type": "text"}, part]}, None],
        "input": [{"content": [item]}, {"output": [item]}, {"output": {}}, {"content": None}],
    }
    assert list(images_in(body)) == [
        ("messages[1].content[1]", part),
        ("input[0].content[0]", item),
        ("input[1].output[0]", item),
    ]
    assert list(images_in({"messages": {}, "input": "Hello"})) == []


def test_the_first_image_too_many_is_refused() -> None:
    parts = [image(PIXEL)] * MAX_IMAGES
    check_images({"messages": [{"role": "user", "content": parts}]})
    with pytest.raises(BadRequest) as caught:
        check_images({"messages": [{"content": parts}, {"content": parts}]})
    assert caught.value.param == "messages[1].content[0]"

"""Forms with a file in them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.batch.api.uploads import parse_form, safe_file_name
from llm_relay.core.errors import BadRequest

KIND = 'multipart/form-data; charset=utf-8; boundary="a b"'


def part(disposition: str, content: bytes) -> bytes:
    head = f"--a b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--a b--\r\n"


PURPOSE = part('name="purpose"', b"batch")


def test_a_form_has_its_fields_and_its_file_in_any_order() -> None:
    file = part('name="file"; filename="rows.jsonl"', b"a\r\n--a\r\nb")
    for body in (whole(PURPOSE, file), whole(file, PURPOSE)):
        form = parse_form(KIND, body)
        assert (form.fields, form.file) == ({"purpose": "batch"}, b"a\r\n--a\r\nb")
        assert form.file_name == "rows.jsonl"


def test_a_file_under_another_field_name_is_ignored() -> None:
    form = parse_form(KIND, whole(PURPOSE, part('name="other"; filename="f"', b"x")))
    assert form.file is None


@given(st.binary(max_size=200_000))
def test_a_file_is_stored_byte_for_byte(content: bytes) -> None:
    if b"\r\n--a b" not in b"\r\n" + content:
        assert parse_form(KIND, whole(part('name="file"; filename="f"', content))).file == content


def test_a_truncated_form_is_refused() -> None:
    body = whole(PURPOSE, part('name="file"; filename="f"', b"0123456789"))
    for length in range(len(body) - len(b"--\r\n")):
        with pytest.raises(BadRequest):
            parse_form(KIND, body[:length])


PIECES = [
    b"--a b",
    b"\r\n",
    b"--",
    b"Content-Disposition: form-data",
    b'; name="file"',
    b'; filename="f"',
    b"; filename*=UTF-8''%FF",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b":",
    b"=",
    b"x",
    b"\xff",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.text(max_size=30))
def test_any_body_is_a_form_or_refused(pieces: list[bytes], more: str) -> None:
    body = b"".join(pieces)
    for content_type in (KIND, more, KIND + more, f"multipart/form-data; boundary={more}"):
        for content in (body, PURPOSE + body, whole(part('name="x"', b"y") + body)):
            with suppress(BadRequest):
                parse_form(content_type, content)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("rows.jsonl", "rows.jsonl"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\rows.jsonl", "rows.jsonl"),
        ("a\r\nSet-Cookie: x\x00.jsonl", "aSet-Cookie: x.jsonl"),
        ("é ü.jsonl", "é ü.jsonl"),
        ("\u202egnp.jsonl", "gnp.jsonl"),
        ("x" * 300, "x" * 255),
        ("folder/", "upload"),
        (" ", "upload"),
        ("", "upload"),
    ],
)
def test_a_name_is_plain_text_without_folders(name: str, shown: str) -> None:
    assert safe_file_name(name) == shown

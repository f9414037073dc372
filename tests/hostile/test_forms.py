"""Forms that are made to break their parser, or to hide a file in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llm_relay.batch.api.uploads import parse_form
from llm_relay.core.errors import BadRequest

if TYPE_CHECKING:
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws

KIND = "multipart/form-data; boundary=b"
SIZE = 4 * 1024 * 1024  # about what Lambda is handed of a file
NAME = 'Content-Disposition: form-data; name="a"'
END = b"\r\n\r\nx\r\n--b--\r\n"


def parts(one: str, times: int) -> bytes:
    return f"--b\r\n{one}\r\n\r\nx\r\n".encode() * times + b"--b--\r\n"


def head(more: bytes) -> bytes:
    return b"--b\r\n" + NAME.encode() + more + END


REFUSED = {
    "a hundred thousand fields": parts(NAME, 80_000),
    "a hundred thousand files": parts(f'{NAME}; filename="f"', 60_000),
    "one part too many": parts(NAME, 101),
    "a hundred thousand parts without a head": b"--b\r\n\r\n\r\n" * 400_000,
    "half a million headers": head(b"\r\na: b" * (SIZE // 6)),
    "a header of megabytes": head(b"\r\na: " + b"b" * SIZE),
    "a header's name of megabytes": b"--b\r\n" + b"a" * SIZE + b": b" + END,
    "half a million parameters": head(b'; a="b"' * (SIZE // 7)),
    "a file's name of megabytes": head(b'; filename="' + b"a" * SIZE + b'"'),
    "quotes within quotes without end": head(b'; filename="' + b'\\"' * (SIZE // 2)),
    "semicolons for megabytes": head(b";" * SIZE),
    "no end": parts(NAME, 3)[: -len("--b--\r\n")],
    "no beginning": b"x" * SIZE,
    "another boundary": parts(NAME, 1).replace(b"--b", b"--c"),
    "a part without a disposition": b"--b\r\nContent-Type: text/plain" + END,
    "a part without a name": b"--b\r\nContent-Disposition: form-data" + END,
    "a bare line feed for a line's end": parts(NAME, 1).replace(b"\r\n", b"\n"),
    "a folded header": b"--b\r\nContent-Disposition:\r\n form-data;\r\n name=a" + END,
    "a NUL in a header's name": b"--b\r\nContent\0: a" + END,
}
CONTENT_TYPES = {
    "a boundary of megabytes": "multipart/form-data; boundary=" + "b" * SIZE,
    "a boundary of nothing": 'multipart/form-data; boundary=""',
    "a boundary of line ends": 'multipart/form-data; boundary="\r\n"',
    "a boundary in another alphabet": "multipart/form-data; boundary=ж",
    "a boundary in pieces": "multipart/form-data; boundary*0=a; boundary*1=b",
    "a boundary in no character set": "multipart/form-data; boundary*=none''b",
    "two boundaries": "multipart/form-data; boundary=b; boundary=c",
    "no boundary": "multipart/form-data",
    "mixed": "multipart/mixed; boundary=b",
    "a form without parts": "application/x-www-form-urlencoded",
    "JSON": "application/json",
    "semicolons for a while": "multipart/form-data" + ";" * 100_000,
    "two types": "multipart/form-data; boundary=b, application/json",
}


@pytest.mark.timeout(120)  # where the parser were quadratic, it would take hours
@pytest.mark.parametrize("name", REFUSED)
def test_a_form_that_overloads_the_parser_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_form(KIND, REFUSED[name])
    assert len(refused.value.message) < 200


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CONTENT_TYPES)
def test_a_misleading_content_type_is_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        parse_form(CONTENT_TYPES[name], parts(NAME, 1))


def test_nested_forms_are_only_file_content(api: BatchApi) -> None:
    inner = b'--c\r\nContent-Disposition: file; filename="evil"\r\n\r\nx\r\n' * 1_000 + b"--c--"
    mixed = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + inner
    disposition = b"--b\r\nContent-Disposition: form-data; name="
    form = disposition + b'"file"; filename="f"\r\n' + mixed + b"\r\n"
    form += disposition + b'"purpose"\r\n\r\nbatch\r\n--b--\r\n'
    made = api.ask("POST", "/files", KIND, form).json()
    assert (made["bytes"], made["filename"]) == (len(inner), "f")


def test_a_refused_form_leaves_nothing(api: BatchApi, batch_aws: BatchAws) -> None:
    for body in REFUSED.values():
        answer = api.ask("POST", "/files", KIND, body)
        assert answer.status_code == 400
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert batch_aws.items() == []
    assert list(batch_aws.bucket.keys("")) == []

"""Bodies that are no JSON, or are it in a way that not everybody reads alike."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from llm_relay.batch.model.input_file import Line
from llm_relay.batch.model.row_check import InvalidLine, RowChecker
from tests.support.payloads import COMPLETION, INPUT, QUESTION, RESPONSE
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.conftest import Answered

SURFACES = {"chat": (QUESTION, COMPLETION), "responses": (INPUT, RESPONSE)}
TEXT = "canary-of-a-prompt"


def with_field(body: dict[str, Any], name: str, value: str) -> str:
    """A body with one more field, whose value is written as it is."""
    return f"{json.dumps(body)[:-1]}, {name}: {value}}}"


def nested(opening: str, depth: int, closing: str) -> str:
    return opening * depth + closing * depth


# What is put in the place of a value or of a whole body; each must be refused.
VALUES = {
    "a number beyond doubles": "1e400",
    "a negative number beyond doubles": "-1e400",
    "a whole number beyond doubles": "9" * 309,
    "a whole number of a megabyte": "9" * 1_000_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "lists nested beyond sense": nested("[", 100, "]"),
    "lists nested beyond the stack": nested("[", 100_000, "]"),
    "objects nested beyond sense": nested('{"a":', 99, "}").replace(":}", ":[]}", 1),
    "objects nested beyond the stack": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "objects that never end": '{"a":' * 50_000,
    "a field named twice": '{"a": 1, "a": 2}',
    "a field named twice by another spelling": '{"a": 1, "\\u0061": 2}',
    "a field named twice far inside": '[[{"b": [{"a": 1, "a": 1}]}]]',
    "a hexadecimal number": "0x10",
    "a number with a plus": "+1",
    "a number with a leading zero": "01",
    "a number in Arabic digits": "١",
    "a number without its digits": "1.",
    "a number with underscores": "1_000",
    "a comma at the end": "[1,]",
    "a comment": "/* a */ 1",
    "single quotes": "'a'",
    "no quotes": "a",
    "a bare control character": '"a\x01b"',
    "a bare line feed": '"a\nb"',
    "an unknown escape": '"\\x41"',
    "a NUL": '"a\x00b"',
    "Python's None": "None",
}
BODIES: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda _: b"",
    "white space": lambda _: b" \n\t ",
    "a list": lambda body: f"[{body}]".encode(),
    "a string": lambda body: json.dumps(body).encode(),
    "a number": lambda _: b"7",
    "half of it": lambda body: body[: len(body) // 2].encode(),
    "two objects": lambda body: (body + body).encode(),
    "a NUL before it": lambda body: b"\0" + body.encode(),
    "a NUL after it": lambda body: body.encode() + b"\0",
    "a no-break space before it": lambda body: ("\u00a0" + body).encode(),
    "a byte order mark": lambda body: body.encode("utf-8-sig"),
    "UTF-16": lambda body: body.encode("utf-16"),
    "UTF-16 without a mark": lambda body: body.encode("utf-16-be"),
    "UTF-32": lambda body: body.encode("utf-32"),
    "UTF-7": lambda body: body.replace("{", "+AHs-").encode(),
    "Latin-1": lambda body: body.replace("Hello", "grüße").encode("latin-1"),
    "a lone continuation byte": lambda body: body.encode().replace(b"Hello", b"\x80"),
    "an overlong slash": lambda body: body.encode().replace(b"Hello", b"\xc0\xaf"),
    "a surrogate in UTF-8": lambda body: body.encode().replace(b"Hello", b"\xed\xa0\x80"),
    "a code point beyond the last": lambda body: body.encode().replace(
        b"Hello", b"\xf5\x80\x80\x80"
    ),
    "gzip": lambda body: gzip.compress(body.encode()),
    "a bomb in gzip": lambda _: gzip.compress(b"[" * 4_000_000),
    "a form": lambda _: b"model=a&messages=b",
    "XML": lambda _: b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "YAML": lambda _: b"model: !!python/object/apply:os.system ['true']",
    "a pickle": lambda _: b"cos\nsystem\n(S'true'\ntR.",
    "the model named twice": lambda body: body.replace("{", '{"model": "expensive", ', 1).encode(),
}
# Valid, however odd: it goes to the provider as it came.
ODD = {
    "a lone surrogate": ('"zz"', '"\\ud800"'),
    "a name with line ends": ('"a\\r\\nX-Evil: 1"', "1"),
    "a name of nothing": ('""', "1"),
    "a name that JavaScript inherits": ('"__proto__"', '{"polluted": true}'),
    "a name that Python inherits": ('"__class__"', '"x"'),
    "nesting that makes sense": ('"zz"', nested("[", 99, "]")),
    "a number too small for doubles": ('"zz"', "1e-400"),
    "a negative zero": ('"zz"', "-0.0"),
    "a whole number of 308 digits": ('"zz"', "9" * 308),
    "a megabyte of a name": (f'"{"n" * 1_000_000}"', "1"),
    "a hundred thousand fields": ('"zz"', json.dumps({str(n): n for n in range(100_000)})),
}


def is_refused(answer: Answered) -> bool:
    """Whether an answer is a refusal as OpenAI words it, which hands nothing back."""
    error = answer.error
    is_whole = error.keys() == {"message", "type", "param", "code"} and bool(error["message"])
    is_clear = TEXT.encode() not in answer.body and len(answer.body) < 2_000
    is_refusal = (answer.status, error["type"]) == (400, "invalid_request_error")
    return is_refusal and is_whole and is_clear


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_not_portable_json_is_refused(
    surface: str, name: str, ask: Callable[..., Answered], provider: ScriptedProvider
) -> None:
    body, answer = SURFACES[surface]
    provider.scripts = [whole(200, answer)]
    assert is_refused(ask(with_field(body, f'"{TEXT}"', VALUES[name]), surface))
    assert provider.connections == 0


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_a_utf_8_json_object_is_refused(
    surface: str, name: str, ask: Callable[..., Answered], provider: ScriptedProvider
) -> None:
    body, answer = SURFACES[surface]
    provider.scripts = [whole(200, answer)]
    spoiled = b64encode(BODIES[name](json.dumps(body))).decode()
    assert is_refused(ask(spoiled, surface, isBase64Encoded=True))
    assert provider.connections == 0


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", ODD)
def test_unusual_valid_values_are_forwarded_unchanged(
    surface: str,
    name: str,
    ask: Callable[..., Answered],
    provider: ScriptedProvider,
    environment: pytest.MonkeyPatch,
) -> None:
    body, answer = SURFACES[surface]
    text = with_field(body, *ODD[name])
    environment.setenv("PROVIDER_DIALECT", "openai")
    provider.scripts = [whole(200, answer)]
    assert ask(text, surface).status == 200
    (asked,) = (each for each in provider.requests if each.method == "POST")
    assert asked.body == text.encode()
    assert not any("evil" in line.lower() for line in asked.headers)


@pytest.mark.parametrize("name", VALUES)
def test_a_row_of_a_batch_is_refused_for_the_same_reasons(name: str) -> None:
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    text = with_field(row, '"body"', with_field(QUESTION, f'"{TEXT}"', VALUES[name]))
    with pytest.raises(InvalidLine) as refused:
        RowChecker().check(Line(row=0, number=1, start=0, end=len(text), text=text.encode()))
    assert TEXT not in refused.value.message


def test_a_field_named_twice_is_reported(ask: Callable[..., Answered]) -> None:
    answer = ask('{"model": "cheap", "model": "expensive", "messages": []}')
    assert "an object with a duplicate key" in answer.error["message"]

"""The line reader and the checks of a batch's rows, without AWS and without a provider."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_relay.batch.model.input_file import MAX_LINE_BYTES, Line, read_blocks, read_lines
from llm_relay.batch.model.row_check import BatchRow, ProviderRules, RowChecker
from llm_relay.batch.plan.file_check import MAX_ERRORS, FileReport, check_file
from llm_relay.core.client import Client
from llm_relay.providers.dialects.dialect import ABLITERATION

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BODY = {"model": "m-1", "messages": [{"role": "user", "content": "Hello"}]}
BOM = b"\xef\xbb\xbf"


def row(custom_id: Any = "row-1", **more: Any) -> bytes:
    document = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": BODY} | more
    return json.dumps(document).encode()


def read(content: bytes) -> list[Line]:
    return list(read_lines(read_blocks(io.BytesIO(content))))


def findings(*rows: bytes, checker: RowChecker | None = None, **more: Any) -> FileReport:
    return check_file(
        read_lines([b"\n".join(rows)]),
        checker or RowChecker(CHAT, providers=[ProviderRules(dialect=ABLITERATION)]),
        **more,
    )


def errors(*rows: bytes, checker: RowChecker | None = None) -> list[tuple[Any, ...]]:
    found = findings(*rows, checker=checker)
    assert found.error_count == len(found.errors)
    return [(each["line"], each["code"], each["param"]) for each in found.errors]


def test_lines_are_found_for_any_line_ending() -> None:
    lines = read(BOM + b"one\r\n\r\n  \ntwo\n\nthree")
    assert [(line.row, line.number, line.text) for line in lines] == [
        (0, 1, b"one"),
        (1, 4, b"two"),
        (2, 6, b"three"),
    ]


def test_only_a_line_feed_ends_a_line() -> None:
    text = '{"a": "one\u2028two\u0085three\x0cfour\rfive"}'.encode()
    assert [line.text for line in read(text + b"\n")] == [text]


def test_an_empty_file_has_no_lines() -> None:
    assert read(b"") == read(BOM) == read(b"\n \r\n") == []


@given(
    texts=st.lists(st.binary(max_size=9).map(lambda text: text.replace(b"\n", b""))),
    size=st.integers(min_value=1, max_value=12),
    last=st.sampled_from([b"", b"\n"]),
)
def test_every_line_has_its_position_for_any_split_of_the_bytes(
    texts: list[bytes], size: int, last: bytes
) -> None:
    content = b"\n".join(texts) + last
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    lines = list(read_lines(blocks))
    blank = [not text.strip(b" \t\r") for text in content.removeprefix(BOM).split(b"\n")]
    assert [line.number for line in lines] == [
        n for n, is_blank in enumerate(blank, 1) if not is_blank
    ]
    assert [line.row for line in lines] == list(range(len(lines)))
    assert [content[line.start : line.end].strip(b" \t\r\n") for line in lines] == [
        line.text for line in lines
    ]


def test_a_range_of_a_file_has_the_lines_of_the_whole() -> None:
    content = BOM + b"one\n\ntwo\r\nthree\nfour"
    whole = read(content)
    first, last = whole[1], whole[2]
    part = read_lines([content[first.start : last.end]], start=first.start, first_row=first.row)
    assert [(each.row, each.start, each.end, each.text) for each in part] == [
        (each.row, each.start, each.end, each.text) for each in whole[1:3]
    ]


def test_a_line_that_is_too_long_is_named_and_the_next_one_read() -> None:
    lines = read(b"x" * (MAX_LINE_BYTES + 1) + b"\nnext")
    assert [(line.number, line.is_too_long, line.text) for line in lines] == [
        (1, True, b""),
        (2, False, b"next"),
    ]
    assert lines[1].start == MAX_LINE_BYTES + 2


def test_an_endless_line_uses_bounded_memory() -> None:
    endless = (b"x" * 1024 * 1024 for _ in range(200))
    tracemalloc.start()
    lines = list(read_lines(endless))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [line.is_too_long for line in lines] == [True]
    assert peak < 3 * MAX_LINE_BYTES


def test_a_row_of_a_megabyte_is_accepted() -> None:
    large = {"model": "m-1", "messages": [{"role": "user", "content": "é" * 500_000}]}
    assert errors(row(body=large)) == []


def test_good_rows_are_yielded_as_they_are_read() -> None:
    seen: list[tuple[int, BatchRow]] = []
    found = findings(
        row("a"), b"oops", row("b"), on_row=lambda line, good: seen.append((line.number, good))
    )
    assert [(number, good.custom_id) for number, good in seen] == [(1, "a"), (3, "b")]
    assert seen[0][1].body == BODY
    assert found.rows == 3


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b'{"a": NaN}', "invalid_json_line", None),
        (b'{"a": 1e999}', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (b'{"custom_id": "caf\xe9"}', "invalid_utf8", None),
        (row(None), "missing_required_parameter", "custom_id"),
        (row(7), "invalid_custom_id", "custom_id"),
        (row(""), "invalid_custom_id", "custom_id"),
        (row("x" * 513), "invalid_custom_id", "custom_id"),
        (row(method=None), "missing_required_parameter", "method"),
        (row(method="GET"), "invalid_method", "method"),
        (row(url=7), "invalid_url", "url"),
        (row(url=RESPONSES), "mismatched_url", "url"),
        (row(body="text"), "invalid_body", "body"),
        (row(body=None), "missing_required_parameter", "body"),
        (row(body=BODY | {"messages": []}), "invalid_request", "body.messages"),
        (row(body=BODY | {"messages": [{}]}), "invalid_request", "body.messages[0].role"),
        (row(body=BODY | {"model": ""}), "invalid_request", "body.model"),
        (row(body=BODY | {"stream": True}), "invalid_request", "body.stream"),
        (row(body=BODY | {"max_tokens": 0}), "invalid_request", "body.max_tokens"),
    ],
)
def test_a_bad_line_is_reported_by_number_code_and_path(
    line: bytes, code: str, param: str | None
) -> None:
    assert errors(row("good"), b"", line, row("good too")) == [(3, code, param)]


def test_a_custom_id_may_be_any_512_characters() -> None:
    assert errors(row("é" * 512), row(" "), row("\u0000"), row("\ud800")) == []


def test_a_duplicate_custom_id_is_reported_with_both_lines() -> None:
    found = findings(row("a"), row("b"), b"", row("a"))
    assert [(each["line"], each["code"]) for each in found.errors] == [(4, "duplicate_custom_id")]
    assert "line 1." in found.errors[0]["message"]


def test_the_first_row_sets_the_endpoint_by_default() -> None:
    body = {"model": "m-1", "input": "Hello"}
    checker = RowChecker()
    found = errors(row("a", url=RESPONSES, body=body), row("b"), checker=checker)
    assert found == [(2, "mismatched_url", "url")]
    assert checker.url == RESPONSES


def test_an_endpoint_that_is_not_served_is_refused() -> None:
    embeddings = row(url="/v1/embeddings")
    assert errors(embeddings, checker=RowChecker()) == [(1, "invalid_url", "url")]


def test_rows_are_checked_for_the_provider_s_dialect() -> None:
    line = row(body=BODY | {"max_tokens": 5, "max_completion_tokens": 6})
    assert errors(line, checker=RowChecker(CHAT)) == []
    checker = RowChecker(CHAT, providers=[ProviderRules(dialect=ABLITERATION)])
    assert [code for _, code, _ in errors(line, checker=checker)] == ["invalid_request"]


def test_a_row_needs_one_provider_whose_dialect_accepts_it() -> None:
    line = row(body=BODY | {"messages": [{}]})
    rules = [ProviderRules(dialect=ABLITERATION), ProviderRules()]
    assert errors(line, checker=RowChecker(CHAT, providers=rules)) == []
    assert errors(line, checker=RowChecker(CHAT, providers=rules[:1])) == [
        (1, "invalid_request", "body.messages[0].role")
    ]


def test_rows_are_checked_against_the_model_s_limits() -> None:
    listed = {"m-1": {"sampling_limits": {"temperature": {"maximum": 1}}}}
    line = row(body=BODY | {"temperature": 1.5})
    checker = RowChecker(CHAT, providers=[ProviderRules(listed=listed.get)])
    assert errors(line, checker=checker) == [(1, "invalid_request", "body.temperature")]


def test_rows_are_checked_against_the_client_s_limits() -> None:
    client = Client(id="c", key_id="k", models=frozenset({"m-2"}))
    checker = RowChecker(CHAT, client=client)
    assert errors(row(), checker=checker) == [(1, "model_not_allowed", "body.model")]


def test_on_a_budget_a_model_needs_a_price() -> None:
    client = Client(id="c", key_id="k", budget_nanos=1)
    checker = RowChecker(CHAT, client=client, providers=[ProviderRules(listed=lambda _: None)])
    assert errors(row(), checker=checker) == [(1, "model_unpriced", "body.model")]


@pytest.mark.parametrize("content", [b"", b"\n\n \r\n", BOM])
def test_a_file_without_requests_is_refused(content: bytes) -> None:
    assert errors(content) == [(None, "empty_file", None)]


def test_the_first_hundred_errors_are_kept_and_all_are_counted() -> None:
    found = findings(*[b"oops"] * 250)
    assert len(found.errors) == 100
    assert found.errors[-1]["line"] == 100
    assert found.error_count == 250


def test_reading_stops_at_the_maximum_number_of_errors() -> None:
    taken = 0

    def blocks() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"oops\n" * 1000

    found = check_file(read_lines(blocks()), RowChecker(CHAT))
    assert found.error_count == MAX_ERRORS
    assert taken == MAX_ERRORS / 1000


def test_a_file_with_too_many_rows_is_refused_at_the_first_excess_row() -> None:
    nine = b"\n".join(row(str(at)) for at in range(9))
    found = check_file(read_lines([nine]), RowChecker(CHAT), max_rows=3)
    assert [(each["code"], each["line"]) for each in found.errors] == [("too_many_requests", 4)]
    assert found.rows == 3


def test_chunks_cover_all_rows_in_order() -> None:
    content = BOM + b"\n".join([row(str(at)) for at in range(5)] + [b"", row("5"), row("6")])
    chunks = check_file(read_lines([content]), RowChecker(CHAT), rows_per_chunk=3).chunks
    assert [(each.number, each.first_row, each.rows) for each in chunks] == [
        (0, 0, 3),
        (1, 3, 3),
        (2, 6, 1),
    ]
    ids = []
    for each in chunks:
        part = read_lines([content[each.start : each.end]], start=each.start)
        ids += [json.loads(line.text)["custom_id"] for line in part]
    assert ids == [str(at) for at in range(7)]


def test_a_chunk_of_large_rows_is_cut_by_its_bytes() -> None:
    large = 7 * 1024 * 1024
    lines = (
        Line(row=at, number=at + 1, start=at * large, end=(at + 1) * large, text=row(str(at)))
        for at in range(20)
    )
    chunks = check_file(lines, RowChecker(CHAT)).chunks
    assert [each.rows for each in chunks] == [9, 9, 2]
    assert all(each.end - each.start <= 64 * 1024 * 1024 for each in chunks)


def test_no_message_quotes_a_line() -> None:
    secret = "canary-" + "x" * 60
    found = findings(
        row(secret + "y" * 500),
        row(method=secret),
        row(url=secret),
        row(body=BODY | {"messages": [{"role": "user", "content": [secret]}]}),
        secret.encode(),
    )
    assert found.error_count == 5
    assert not [each for each in found.errors if secret in each["message"]]

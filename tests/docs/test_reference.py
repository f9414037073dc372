"""The reference pages agree with the template, the OpenAPI document, the CLI and the code."""

from __future__ import annotations

import re

import pytest
import reference

from llm_relay.core import errors
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
ROWS = re.findall(r"^\| (\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
GATEWAY = re.compile(r'StatusCode: (\d{3})(?:(?!StatusCode).)*?"code":"(\w+)"', re.DOTALL)


def relay_errors() -> set[tuple[str, str]]:
    declared = [kind for kind in KINDS if issubclass(kind, errors.RelayError)]
    return {(str(int(kind.status)), str(kind.code)) for kind in declared if kind.code}


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text() == reference.filled(name), (
        "run make reference"
    )


def test_every_error_is_listed_with_its_status() -> None:
    listed = {(status, code) for status, codes in ROWS for code in re.findall(r"`(\w+)`", codes)}
    of_the_gateway = set(GATEWAY.findall((ROOT / "template.yaml").read_text()))
    assert (relay_errors() | of_the_gateway) - listed == set()


def test_errors_are_sorted_by_status_and_code() -> None:
    assert sorted(ROWS, key=lambda row: (row[0], row[1].startswith("`"), row[1])) == ROWS

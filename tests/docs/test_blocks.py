"""Every block of every document does what it says, or states a reason why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import ROOT, RUNNABLE, Block, blocks_of, pages
from tests.docs.docs_project import READERS, RUNNERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.docs_project import DocsProject

NOT_TRIED_HERE = {
    "js": "tests/clients/documented.test.mjs runs it on Node",
    "diff": "test_walkthroughs.py applies it and runs what comes of it",
    "mermaid": "a drawing",
    "text": "a formula, or what is printed at another time",
}


def tried(block: Block) -> bool:
    return block.language not in NOT_TRIED_HERE


# A page is a dozen programs that each start from nothing, on a machine that does other things too.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_blocks_of_a_page_do_what_they_claim(
    page: Path, docs_project: DocsProject
) -> None:
    reader = docs_project.for_page(str(page.relative_to(ROOT)).replace("/", "-"))
    complaints = [reader.failure_of(block) for block in blocks_of(page) if tried(block)]
    if message := "\n\n".join(filter(None, complaints)):
        pytest.fail(message, pytrace=False)


def test_every_block_is_in_a_tested_language() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    known = {*RUNNERS, *READERS, *NOT_TRIED_HERE}
    assert [str(block) for block in blocks if block.language not in known] == []
    assert {*NOT_TRIED_HERE} <= {block.language for block in blocks}
    assert known >= RUNNABLE

"""Every block of every document does what it says, or states a reason why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import ROOT, RUNNABLE, Block, blocks_of, pages
from tests.docs.workshop import READERS, RUNNERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.workshop import Workshop

NOT_TRIED_HERE = {
    "js": "tests/clients/documented.test.mjs runs it on Node",
    "diff": "test_walkthroughs.py applies it and runs what comes of it",
    "mermaid": "a drawing",
    "text": "a formula, or what is printed at another time",
}
# Commands of a page that need more than this machine surely has, by their first words.
NEEDS_DOCKER = "PYTHONPATH=layers/llm_relay .venv/bin/python .ci/surroundings.py"


def tried(block: Block) -> bool:
    return block.language not in NOT_TRIED_HERE and NEEDS_DOCKER not in block.text


# A page is a dozen programs that each start from nothing, on a machine that does other things too.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_do_what_they_say(page: Path, shop: Workshop) -> None:
    reader = shop.for_a_reader_of(str(page.relative_to(ROOT)).replace("/", "-"))
    complaints = [reader.complaint(block) for block in blocks_of(page) if tried(block)]
    if message := "\n\n".join(filter(None, complaints)):
        pytest.fail(message, pytrace=False)


def test_no_block_is_of_an_untested_language() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    known = {*RUNNERS, *READERS, *NOT_TRIED_HERE}
    assert [str(block) for block in blocks if block.language not in known] == []
    assert {*NOT_TRIED_HERE} <= {block.language for block in blocks}
    assert known >= RUNNABLE


def test_the_one_block_that_needs_docker_is_ci_s() -> None:
    blocks = [b for page in pages() for b in blocks_of(page) if NEEDS_DOCKER in b.text]
    assert [block.page for block in blocks] == ["docs/how-to/sam-local.md"]
    assert "surroundings()" in (ROOT / ".ci" / "sam_local.py").read_text()

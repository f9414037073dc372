"""A block that is wrong is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.docs_project import DocsProject

BROKEN = {
    "a program that fails": "```sh\nfalse\n```",
    "a failure in a pipe": "```sh\nfalse | cat\n```",
    "an unknown command": "```sh\nrelay keys creat alice\n```",
    "an unknown option": "```sh\nrelay keys list --all\n```",
    "a bucket that is not there": "```sh\naws s3 ls s3://nothing-of-ours\n```",
    "an unknown target": "```sh\nmake everything\n```",
    "an event that is not there": "```sh\nsam local invoke X -e events/none.json\n```",
    "a package that no test has": "```sh\npip install opnai\n```",
    "another package that no test has": "```sh\nnpm install opnai\n```",
    "a wrong key": "```sh\ncurl -sf -H 'Authorization: Bearer x' $OPENAI_BASE_URL/models\n```",
    "an exception": "```python\nimport opnai\n```",
    "a warning": "```python\nimport warnings\nwarnings.warn('old')\n```",
    "another output": "```sh\necho one\n```\n\n```text\ntwo\n```",
    "JSON with a comma": '```json\n{"a": 1,}\n```',
    "an unknown language": "```cobol\nSTOP RUN.\n```",
    "no language at all": "```\nfalse\n```",
    "YAML out of line": "```yaml\na: [\n```",
}


@pytest.mark.parametrize("page", BROKEN.values(), ids=BROKEN)
def test_a_broken_block_is_found(page: str, docs_project: DocsProject, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(page)
    (block,) = blocks_of(path, tmp_path)
    assert docs_project.failure_of(block).startswith("page.md:1 ")


def test_a_correct_block_passes(docs_project: DocsProject, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```sh\necho one-$RANDOM\n```\n\nIt prints\n\n```text\none-…\n```")
    (block,) = blocks_of(path, tmp_path)
    assert docs_project.failure_of(block) == ""

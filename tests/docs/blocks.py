"""The fenced blocks of the documents: what a reader copies."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RUNNABLE = {"sh", "python", "js"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block, and where it stands."""

    page: str
    line: int
    language: str
    text: str
    prints: str | None = None  # None: the page does not say

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self, program: str) -> Iterator[list[str]]:
        """The arguments of each call of a program that stands first on its line."""
        known: dict[str, str] = {}
        for line in self.text.replace("\\\n", " ").splitlines():
            if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
                known[assigned[1]] = assigned[2]
            if line.startswith(f"{program} "):
                yield shlex.split(Template(line).safe_substitute(known), comments=True)[1:]


def pages(root: Path = ROOT) -> list[Path]:
    """Every document of the project; those of the benchmarks too."""
    return sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("bench/*.md")])


def blocks_of(page: Path, root: Path = ROOT) -> list[Block]:
    """The blocks of a page in their order.

    A `text` right below a block that runs, with at most one paragraph between them, is what
    that block prints, and no block of its own; `text example` is what it may print at other times.
    """
    found: list[Block] = []
    paragraphs = 0  # paragraphs since the last block
    for token in MarkdownIt().parse(page.read_text()):
        paragraphs += token.type == "paragraph_open" or 2 * (token.type == "heading_open")
        if token.type not in {"fence", "code_block"}:
            continue
        language = (token.info.split() or [""])[0]
        if (
            token.info.strip() == "text"
            and paragraphs < 2
            and found
            and found[-1].language in RUNNABLE
        ):
            found[-1] = replace(found[-1], prints=token.content)
        else:
            line = token.map[0] + 1 if token.map else 0
            where = str(page.relative_to(root))
            found.append(Block(page=where, line=line, language=language, text=token.content))
        paragraphs = 0
    return found

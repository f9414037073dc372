"""A copy of the project with its stack running, in which the code blocks of the pages run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import TYPE_CHECKING

import yaml

from local.provider_simulator.server import DEFAULT_KEY
from tests.docs import shims
from tests.docs.blocks import ROOT, Block
from tests.e2e.commands import command, copy_of_the_project, lines_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(shims.__file__)
BLOCK_SECONDS = 200
ADDRESS = "127.0.0.1:8080"  # as the pages have it
YES = "y\n" * 20  # what a reader answers who is asked


@dataclass(frozen=True, slots=True)
class DocsProject:
    """The folder that blocks run in, and their environment variables."""

    folder: Path
    environment: dict[str, str]

    def for_page(self, page: str) -> DocsProject:
        """Return a project with a fresh folder for one page."""
        folder = self.folder / "readers" / page
        if not folder.exists():
            programs = folder / ".venv" / "bin"
            programs.mkdir(parents=True)
            (programs / "relay").symlink_to(self.folder / "bin" / "relay")
            (programs / "python").write_text(
                f'#!/bin/sh\nPYTHONPATH="{self.folder}" exec "{sys.executable}" "$@"\n'
            )
            (programs / "python").chmod(0o755)
            (folder / "provider-key.txt").write_text(DEFAULT_KEY)
            copytree(ROOT / "events", folder / "events", symlinks=True)
        return DocsProject(folder, self.environment)

    def failure_of(self, block: Block) -> str:
        """Return the failure of a block, or an empty string."""
        if read := READERS.get(block.language):
            try:
                read(block.text)
            except (ValueError, yaml.YAMLError) as error:
                return f"{block} cannot be read: {error}"
            return ""
        if block.language not in RUNNERS:
            return f"{block} is of an untested language: {block.language!r}"
        run = self.run(block)
        if run.returncode or (run.stderr and block.language == "python"):
            return f"{block} ends with {run.returncode}:\n{run.stdout}{run.stderr}"
        if block.prints is not None and not prints(block.prints, run.stdout):
            return f"{block} prints:\n{run.stdout}\ninstead of:\n{block.prints}"
        return ""

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Do as a block says."""
        text = block.text.replace(ADDRESS, self.environment["ADDRESS"])
        return subprocess.run(  # noqa: S603 - our own documents
            [*RUNNERS[block.language], text],
            input=YES,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BLOCK_SECONDS,
        )


RUNNERS = {
    "sh": ("/bin/bash", "-euo", "pipefail", "-c"),
    "python": (sys.executable, "-c"),
}
READERS: dict[str, Callable[[str], object]] = {
    "json": lambda text: [json.loads(text)],
    "yaml": lambda text: [*yaml.compose_all(text)],  # tags such as !Ref are not looked up
}


def prints(said: str, printed: str) -> bool:
    """Tell whether a page is right about what is printed; `…` stands for anything."""
    pattern = ".*?".join(map(re.escape, said.strip().split("…")))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@contextmanager
def running_docs_project(folder: Path) -> Iterator[DocsProject]:
    """Serve the stack of a copy of the project, as `make run` does, for the block."""
    copy_of_the_project(folder)
    copytree(ROOT / "cli", folder / "cli", ignore=ignore_patterns("__pycache__"))
    for name in ("Makefile", "samconfig.toml"):
        (folder / name).write_text((ROOT / name).read_text())
    with command(folder, "run", PORT="0") as process:
        lines_until(process, "Ctrl-C")
        yield DocsProject(folder, environment(folder, put_shims(folder)))


def put_shims(folder: Path) -> Path:
    """Make a folder of the programs that pages call and that are not called here as they are."""
    place = folder / "bin"
    place.mkdir()
    for name in shims.SHIMS:
        script = place / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAMS}" {name} "$@"\n')
        script.chmod(0o755)
    return place


def environment(folder: Path, place: Path) -> dict[str, str]:
    """The variables of a reader who has followed the README so far."""
    note = json.loads((folder / ".relay-local.json").read_text())
    return {
        "PATH": f"{place}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PROJECT": str(folder),
        "ADDRESS": note["base_url"].split("/")[2],
        "OPENAI_BASE_URL": note["base_url"],
        "OPENAI_API_KEY": note["client_key"],
        "BUCKET": note["bucket"],
        "QUEUE": note["queue_url"],
        "AWS_ENDPOINT_URL": note["aws_endpoint_url"],
        "AWS_DEFAULT_REGION": note["aws_region"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }

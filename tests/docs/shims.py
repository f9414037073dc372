"""Replaces programs that pages call: runs them on the local stack, or checks their arguments.

`relay` and `aws` run, on the local stack. The others would change this machine or need an account:
what they are asked to do must be there. `.ci/sam_commands.py` asks SAM itself about its commands.
"""
# ruff: noqa: S606 - it becomes the program it stands for

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
AWS = ROOT / ".venv" / "aws" / "bin" / "aws"
ACCOUNT = {"--stack-name", "--profile", "--region"}  # where a deployed stack is


def relay(words: list[str]) -> None:
    """Run the command line on the stack that runs here."""
    pairs = zip(words, ["", *words], strict=False)
    kept = [word for word, before in pairs if not {word, before} & ACCOUNT]
    os.environ["PYTHONPATH"] = os.environ["PROJECT"]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cli", "--local", *kept])


def aws(words: list[str]) -> None:
    """Run AWS's command line on the stack that runs here."""
    # Version 1 of it, the one that PyPI has, overlooks AWS_ENDPOINT_URL for SQS.
    os.execv(AWS, [str(AWS), "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], *words])


def make(words: list[str]) -> None:
    """Look for the targets."""
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    missing = [
        word for word in targets if not re.search(rf"^{word}:.* ## ", makefile, re.MULTILINE)
    ]
    if missing or not targets:
        sys.exit(f"make has no target {missing}")


def sam(words: list[str]) -> None:
    """Look for the files that are handed to functions."""
    pairs = zip(words, words[1:], strict=False)
    events = [Path(after) for option, after in pairs if option in {"-e", "--event"}]
    if missing := [str(event) for event in events if not (ROOT / event).is_file()]:
        sys.exit(f"there is no {', '.join(missing)}")


def pip(words: list[str]) -> None:
    """Look for the packages among those that the tests run with."""
    pinned = (ROOT / "requirements" / "dev.txt").read_text()
    if missing := [word for word in names(words) if not re.search(rf"^{word}==", pinned, re.M)]:
        sys.exit(f"the tests do not run with {', '.join(missing)}")


def npm(words: list[str]) -> None:
    """Look for the packages among those that the suites of the Node clients run with."""
    manifest = json.loads((ROOT / "tests" / "clients" / "package.json").read_text())
    if missing := [word for word in names(words) if word not in manifest["dependencies"]]:
        sys.exit(f"the tests do not run with {', '.join(missing)}")


def names(words: list[str]) -> list[str]:
    """The packages of `install NAME…`; anything else is none of a page's."""
    if words[:1] != ["install"] or len(words) < 2:  # noqa: PLR2004
        sys.exit("pages install packages by name")
    return words[1:]


SHIMS = {shim.__name__: shim for shim in (aws, make, npm, pip, relay, sam)}

if __name__ == "__main__":
    SHIMS[sys.argv[1]](sys.argv[2:])

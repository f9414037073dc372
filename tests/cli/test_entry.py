"""`.venv/bin/relay`, as make writes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from cli.aws.target_stack import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RelayRunner


def test_make_writes_a_command_that_works_from_anywhere(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "a project", tmp_path / "elsewhere"
    (project / ".venv" / "bin").mkdir(parents=True)
    (elsewhere / "cli").mkdir(parents=True)  # no package of ours, whatever its name
    (elsewhere / "cli" / "__init__.py").write_text("")
    for name in ("cli", "layers", "Makefile"):
        (project / name).symlink_to(ROOT / name)
    python = project / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    make = ("make", "--old-file=.venv/uv", ".venv/relay")
    subprocess.run(make, cwd=project, check=True, env={"PATH": os.environ["PATH"]})  # noqa: S603
    relay = subprocess.run(  # noqa: S603 - our own command
        [project / ".venv" / "bin" / "relay", "keys", "create", "--help"],
        cwd=elsewhere,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert (relay.returncode, relay.stderr) == (0, "")
    assert relay.stdout.startswith("Usage: relay keys create")


def test_a_command_that_fails_ends_with_1_and_says_so_on_stderr(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", "keys", "revoke"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: No AWS region is set")
    assert "--local" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_reference_turns_on_completion(shell: str) -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    (variable, value) = re.findall(rf"\b(_RELAY_COMPLETE)=({shell}_source) relay", page)[0]
    script = run_cli({variable: value})
    assert "_RELAY_COMPLETE=" in script
    words = {"COMP_WORDS": "relay ke", "COMP_CWORD": "ke" if shell == "fish" else "1"}
    assert "keys" in re.split(r"[,\s]", run_cli({variable: f"{shell}_complete", **words}))


def run_cli(environment: dict[str, str]) -> str:
    """Runs `relay` without a word; what it prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with what the wheel installs."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        path = ROOT / package
        shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = tmp_path / "llm_relay-9.8.7.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: llm-relay\nVersion: 9.8.7\n")
    script = pyproject["project"]["scripts"]["relay"].split(":")
    code = f"from {script[0]} import {script[1]} as relay; relay(prog_name='relay')"
    (tmp_path / "relay.py").write_text(code)
    return tmp_path


def run_installed(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, site / "relay.py", *words],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(site), "AWS_EC2_METADATA_DISABLED": "true"},
    )


def test_the_installed_command_knows_its_version(installed: Path) -> None:
    done = run_installed(installed, installed, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "llm-relay 9.8.7\n", "")


def test_the_installed_command_finds_the_stack_of_the_folders_above(
    installed: Path, runner: RelayRunner
) -> None:
    folder = runner.root / "some" / "folder"
    folder.mkdir(parents=True)
    assert run_installed(installed, folder, "keys", "list", "--local").returncode == 0
    done = run_installed(installed, folder, "keys", "list")
    assert "No stack is selected" in done.stderr
    (folder.parent / "samconfig.toml").write_text(
        '[default.global.parameters]\nstack_name = "nearest"\n'
    )
    done = run_installed(installed, folder, "keys", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No stack is selected" not in done.stderr

"""Which stack a command is for, and what is said when it is not there."""

from __future__ import annotations

import io
import json
import tomllib
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from cli.aws.target_stack import ROOT
from cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import RelayRunner


def relay(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], obj=root)


def test_the_default_stack_is_the_one_that_sam_deploys(runner: RelayRunner, deployed: Path) -> None:
    done = relay(deployed, "keys", "create", "in-the-account", "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert runner.status(done.stdout.strip()) == 200
    shown = relay(deployed, "provider-key", "show")
    assert shown.stdout.startswith("1 key stored.")


def test_a_missing_stack_is_named_with_what_to_do(deployed: Path) -> None:
    done = relay(deployed, "keys", "list", "--stack-name", "elsewhere")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no stack elsewhere in us-east-1" in done.stderr
    assert "sam deploy" in done.stderr


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_options_may_stand_anywhere(runner: RelayRunner, place: int) -> None:
    words = ["keys", "list"]
    words.insert(place, "--local")
    assert relay(runner.root, *words).exit_code == 0


def test_no_stack_is_reported_in_one_line(tmp_path: Path) -> None:
    for words, advice in ((["--local"], "make run"), ([], "--stack-name")):
        done = relay(tmp_path, "keys", "list", *words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert advice in done.stderr


def test_local_cannot_be_combined_with_other_stack_options(runner: RelayRunner) -> None:
    done = relay(runner.root, "keys", "list", "--local", "--stack-name", "x")
    assert done.exit_code == 2
    assert "--local cannot be combined with" in done.stderr


def test_a_state_file_left_by_a_killed_stack_is_not_a_traceback(
    changed_note: Callable[..., RelayRunner],
) -> None:
    done = changed_note(aws_endpoint_url="http://127.0.0.1:9").relay("keys", "list")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Check the network" in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_a_stack_of_an_older_version_must_be_deployed(
    changed_note: Callable[..., RelayRunner],
) -> None:
    done = changed_note(resources={}).relay("keys", "list")
    assert done.exit_code == 1
    assert "has no ClientsTable: deploy" in done.stderr


def test_what_aws_refuses_is_reported_with_the_call_and_advice(
    changed_note: Callable[..., RelayRunner], runner: RelayRunner
) -> None:
    resources = {**runner.stack.template.physical_ids, "ClientsTable": "gone"}
    done = changed_note(resources=resources).relay("usage")
    assert (done.exit_code, done.stdout) == (1, "")
    assert isinstance(done.exception, SystemExit)
    for words in ("Scan", "ResourceNotFoundException", "sam deploy"):
        assert words in done.stderr


@pytest.mark.parametrize(
    "words", [(), ("keys",), ("nonsense",), ("keys", "create"), ("usage", "x")]
)
def test_an_invalid_command_exits_with_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = relay(tmp_path, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_ctrl_c_exits_with_130_and_a_closed_terminal_with_1(
    runner: RelayRunner, raised: type[BaseException], status: int
) -> None:
    class Terminal(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if size:
                raise raised
            return b""

    words = ["provider-key", "set", "--local"]
    done = CliRunner().invoke(main, words, input=Terminal(), obj=runner.root)
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr.endswith("Aborted.\n")


@pytest.mark.parametrize(
    "words", [("--help",), ("keys", "-h"), ("keys", "create", "--help"), ("usage", "--help")]
)
def test_help_is_not_an_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = relay(tmp_path, *words)
    assert (done.exit_code, done.stderr) == (0, "")


def options_of(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command with the name and default of each of its options."""
    for option in command.params:
        default = option.to_info_dict()["default"]
        if isinstance(option, click.Option) and default and not option.is_flag:
            yield *words, option.opts[0], str(default)
    for name, each in getattr(command, "commands", {}).items():
        yield from options_of(each, (*words, name))


def test_every_default_is_shown(tmp_path: Path) -> None:
    found = [*options_of(main)]
    assert ("usage", "--days", "14") in found
    for *words, option, default in found:
        shown = " ".join(relay(tmp_path, *words, "--help").stdout.split())
        described = shown.partition(f" {option} ")[2].partition(" --")[0]
        value = " [default: stdin, or a prompt" if default == "-" else f". [default: {default}"
        assert described.count("[default: ") == 1
        assert value in described


def test_the_version_is_the_project_s(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = relay(tmp_path, "--version")
    assert (done.exit_code, done.output) == (0, f"llm-relay {version}\n")


def test_the_state_file_of_a_running_stack_is_enough_for_every_resource(
    runner: RelayRunner,
) -> None:
    note = json.loads((runner.root / ".relay-local.json").read_text())
    assert {"Api", "ClientsTable", "UsagePlan", "ProviderKeySecret"} <= {*note["resources"]}

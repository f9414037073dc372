"""Checks the documented `sam` commands with SAM's own parser, as CI cannot deploy.

Run with SAM's own Python after `sam build`. Each command is parsed by SAM, with samconfig.toml; its
functions and parameters must be the template's; and `sam deploy` must not prompt for anything.
"""

from __future__ import annotations

import sys
from typing import Any

import click
from samcli.cli.main import cli
from samcli.commands.deploy.auth_utils import auth_per_resource
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse

from tests.docs.blocks import ROOT, blocks_of, pages

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())


def parsed(words: list[str]) -> click.Context:
    """Parse a command line with SAM without running it; ClickException if it is invalid."""
    context: click.Context = cli.make_context("sam", list(words))
    while hasattr(context.command, "resolve_command"):
        name, command, rest = context.command.resolve_command(
            context, [*context.protected_args, *context.args]
        )
        for option in command.params:
            if isinstance(option.type, click.Path):
                option.type.exists = False  # the reader has created it, as the page says
        context = command.make_context(name, rest, parent=context)
    return context


def check_command(words: list[str]) -> str:
    """Return the failure of a command, or an empty string."""
    try:
        arguments: dict[str, Any] = parsed(words).params
    except Exception as error:  # noqa: BLE001 - any error of SAM is a failure
        return repr(error)
    function = arguments.get("function_logical_id")
    if function and function not in TEMPLATE["Resources"]:
        return f"the template has no {function}"
    given = arguments.get("parameter_overrides") or {}
    if unknown := {*given} - {*TEMPLATE["Parameters"]}:
        return f"the template has no parameter {unknown}"
    return ""


def main() -> int:
    """Return 0 if every command is valid."""
    commands = [(b, words) for p in pages() for b in blocks_of(p) for words in b.commands("sam")]
    wrong = [(block, words, why) for block, words in commands if (why := check_command(words))]
    for block, words, why in wrong:
        print(f"FAIL  {block}  sam {' '.join(words)}: {why}")
    stacks, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))
    prompted = [name for name, guarded in auth_per_resource(stacks) if not guarded]
    if prompted:
        print(f"FAIL  sam deploy --guided would ask whether {prompted} may be open")
    print(f"{len(commands)} documented sam commands parsed")
    return 1 if wrong or prompted or not commands else 0


if __name__ == "__main__":
    sys.exit(main())

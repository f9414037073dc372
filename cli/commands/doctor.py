"""`relay doctor`: walks the whole way a call goes, and says what is wrong and what mends it."""

import json

import click

from cli.aws.target_stack import flags_of, target_options
from llm_relay.diagnostics.checklist import FAIL, OK, WARN, Finding

MARKS = {OK: ("ok", "green"), WARN: ("warn", "yellow"), FAIL: ("FAIL", "red")}
NAME_WIDTH = 16


@click.command()
@click.option(
    "--client-key",
    metavar="KEY",
    help="Else RELAY_CLIENT_KEY, OPENAI_API_KEY, or the stack's first key.",
)
@click.option("--model", metavar="ID", help="The model to ask for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@target_options
@click.pass_context
def doctor(
    context: click.Context, *, client_key: str | None, model: str | None, as_json: bool
) -> None:
    """Says what is wrong with a stack, and what mends it.

    It asks the provider for its list of models and for three answers of 16 tokens at the most (one
    more for each further stored key), which are paid for. It ends with 1 if something has failed.
    """
    from cli.diagnostics.local_fixes import local_fix  # noqa: PLC0415 - imports what the next does
    from cli.diagnostics.walk import Checkup  # noqa: PLC0415 - imports all that it asks with

    checks = Checkup(context, client_key, model).done()
    if "--local" in flags_of(context).split():
        local_fix(checks)
    report = checks.document()
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        for name, found in checks.findings.items():
            show(name, found)
    context.exit(0 if report["healthy"] else 1)


def show(name: str, found: Finding) -> None:
    """One line, and one more for what mends it."""
    word, colour = MARKS.get(found.state, ("-", "bright_black"))
    click.echo(
        f"{click.style(f'{word:<5}', fg=colour, bold=True)} {name:<{NAME_WIDTH}} {found.says}"
    )
    if found.fix:
        click.echo(f"      {'':<{NAME_WIDTH}} fix: {found.fix}")

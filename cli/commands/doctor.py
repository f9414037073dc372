"""`relay doctor`: diagnoses the path of a call and suggests fixes."""

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
    help="Client key [default: RELAY_CLIENT_KEY, OPENAI_API_KEY, or the stack's first key]",
)
@click.option("--model", metavar="ID", help="Model to test with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@target_options
@click.pass_context
def doctor(
    context: click.Context, *, client_key: str | None, model: str | None, as_json: bool
) -> None:
    """Diagnose a stack and suggest fixes.

    Requests the provider's list of models and three answers of at most 16 tokens (one more per
    additional stored key), which are billed. Exit status 1 if a check failed.
    """
    from cli.diagnostics.local_fixes import local_fix  # noqa: PLC0415 - imports the layer
    from cli.diagnostics.walk import Checkup  # noqa: PLC0415 - imports requests and botocore

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
    """Print a finding, and its fix."""
    word, colour = MARKS.get(found.state, ("-", "bright_black"))
    click.echo(
        f"{click.style(f'{word:<5}', fg=colour, bold=True)} {name:<{NAME_WIDTH}} {found.says}"
    )
    if found.fix:
        click.echo(f"      {'':<{NAME_WIDTH}} fix: {found.fix}")

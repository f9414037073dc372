"""`relay doctor`: diagnoses the path of a call and suggests fixes."""

import click

from cli.aws.target_stack import target_options, target_selection
from cli.commands.option_types import json_option
from cli.output.tables import print_json
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
@json_option
@target_options
def doctor(*, client_key: str | None, model: str | None, as_json: bool) -> None:
    """Diagnose a stack and suggest fixes.

    Requests the provider's list of models and three answers of at most 16 tokens (one more per
    additional stored key), which are billed. Exit status 1 if a check failed.
    """
    from cli.diagnostics.checkup import Checkup, with_local_fix  # noqa: PLC0415 - imports botocore

    checks = Checkup(client_key, model).run()
    if "local" in target_selection():
        checks.findings = {name: with_local_fix(each) for name, each in checks.findings.items()}
    report = checks.document()
    if as_json:
        print_json(report)
    else:
        for name, finding in checks.findings.items():
            _show(name, finding)
    if not report["healthy"]:
        click.get_current_context().exit(1)


def _show(name: str, finding: Finding) -> None:
    word, colour = MARKS.get(finding.state, ("-", "bright_black"))
    mark = click.style(f"{word:<5}", fg=colour, bold=True)
    click.echo(f"{mark} {name:<{NAME_WIDTH}} {finding.says}")
    if finding.fix:
        click.echo(f"      {'':<{NAME_WIDTH}} fix: {finding.fix}")

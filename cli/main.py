"""`relay`: the command groups.

Exit status: 0, 2 for invalid usage, 130 after Ctrl-C, 1 for other failures. Errors are on stderr.
"""

import sys
import tomllib
from typing import Any, NoReturn

import click

from cli.aws.target_stack import ROOT, target_options
from cli.commands.batch import batch
from cli.commands.doctor import doctor
from cli.commands.keys import keys
from cli.commands.provider_key import provider_key
from cli.commands.usage import usage
from cli.output.progress import INTERRUPTED
from llm_relay.core.errors import RelayError


class Relay(click.Group):
    """A click group that shows AWS errors as messages instead of tracebacks."""

    def main(self, *args: Any, **more: Any) -> NoReturn:
        """Run a command line."""
        try:
            status = super().main(*args, **(more | {"standalone_mode": False}))
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        except click.Abort as abort:
            click.echo("Aborted.", err=True)
            status = INTERRUPTED if isinstance(abort.__context__, KeyboardInterrupt) else 1
        sys.exit(status or 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; convert errors of AWS and of the relay to messages."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from cli.aws.errors import AWS_ERRORS, explain  # noqa: PLC0415 - imports botocore

            message = error.message if isinstance(error, RelayError) else ""
            cause = error.__cause__ if message else error
            if isinstance(cause, AWS_ERRORS):
                message = f"{message}\n{explain(cause)}".lstrip()
            if not message:
                raise
            raise click.ClickException(message) from error


def _version() -> str:
    """Return the project's version, or the installed package's."""
    try:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        return str(project["version"])
    except OSError:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        return version("llm-relay")


def _print_version(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"llm-relay {_version()}")
        context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)


CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(cls=Relay, context_settings=CONTEXT_SETTINGS)
@version_option
@target_options
def main() -> None:
    """Operate an llm-relay: client keys, usage, batches, the provider key, diagnosis.

    Commands use the deployed stack of samconfig.toml, --stack-name NAME, or, with
    --local, the stack of 'make run'.

    Exit status: 0 for success, 1 for a failure, 2 for invalid usage, 130 after Ctrl-C.
    """


for command in (batch, doctor, keys, usage, provider_key):
    main.add_command(command)

"""`relay`: the commands, and how they end: 0, 1 with what went wrong on stderr, or 130.

130 is what Ctrl-C makes of waiting for a batch, which goes on.
"""

import sys
from typing import Any, NoReturn

import click

from cli.aws.target_stack import target_options
from cli.commands.batch import batch
from cli.commands.doctor import doctor
from cli.commands.keys import keys
from cli.commands.provider_key import provider_key
from cli.commands.usage import usage


class Relay(click.Group):
    """A command line that ends as above and shows nobody a traceback of AWS's errors."""

    def main(self, *args: Any, **more: Any) -> NoReturn:
        """Runs a command line."""
        try:
            status = super().main(*args, **(more | {"standalone_mode": False}))
        except click.ClickException as error:
            error.show()
            status = 1
        except click.Abort:
            click.echo("Aborted.", err=True)
            status = 1
        sys.exit(status or 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was found, and says what AWS or the relay's own code refused."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from cli.aws.errors import AWS_ERRORS, explain  # noqa: PLC0415 - imports botocore
            from llm_relay.core.errors import RelayError  # noqa: PLC0415 - as late as the other

            if isinstance(error, RelayError):
                cause = error.__cause__
                why = f"\n{explain(cause)}" if isinstance(cause, AWS_ERRORS) else ""
                raise click.ClickException(error.message + why) from error
            if not isinstance(error, AWS_ERRORS):
                raise
            raise click.ClickException(explain(error)) from error


@click.group(cls=Relay, context_settings={"help_option_names": ["-h", "--help"]})
@target_options
def main() -> None:
    """Runs an llm-relay: its clients' keys, their usage, batches, the provider's key, its health.

    Commands are for the deployed stack that samconfig.toml names, for --stack-name NAME, or, with
    --local, for the one that 'make run' serves.
    """


main.add_command(batch)
main.add_command(doctor)
main.add_command(keys)
main.add_command(usage)
main.add_command(provider_key)

"""What keeps `relay doctor` from looking, told as a finding."""

from collections.abc import Callable

import click
import requests
from botocore.exceptions import ClientError

from cli.aws.errors import AWS_ERRORS, explain
from llm_relay.diagnostics.checklist import Finding, fail, not_checked

MAY_NOT = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation")


def guarded(look: Callable[[], Finding]) -> Finding:
    """What a look finds, or what kept it from looking."""
    try:
        return look()
    except click.UsageError:
        raise
    except click.ClickException as error:
        says, _, fix = error.message.partition(": ")
        return fail(f"{says}.", fix or "Run 'sam deploy'.")
    except AWS_ERRORS as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"].startswith(MAY_NOT):
            return not_checked(explain(error))
        refused = isinstance(error, ClientError)
        says = "AWS was asked, and refused." if refused else "AWS could not be asked."
        return fail(says, explain(error))
    except requests.RequestException as error:
        return fail(
            f"The API does not answer ({type(error).__name__}).",
            "See whether the network lets you out; 'make run' starts the local stack.",
        )

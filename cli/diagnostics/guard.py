"""Converts errors of a check to findings."""

from collections.abc import Callable

import click
import requests
from botocore.exceptions import ClientError

from cli.aws.errors import AWS_ERRORS, explain
from llm_relay.diagnostics.checklist import Finding, fail, not_checked

MAY_NOT = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation")


def guarded(look: Callable[[], Finding]) -> Finding:
    """Return a check's finding, or a finding for the error that prevented it."""
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
        says = "AWS rejected the call." if refused else "AWS could not be called."
        return fail(says, explain(error))
    except requests.RequestException as error:
        return fail(
            f"The API does not answer ({type(error).__name__}).",
            "Check the network; 'make run' starts the local stack.",
        )

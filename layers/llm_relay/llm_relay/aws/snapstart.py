"""SnapStart: what goes into the snapshot of a process, and what each copy of it does anew.

In a snapshot is what every first call would do, up to the point where it needs a secret: nothing is
read from Secrets Manager and no connection made before the first call, so there is none to drop.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from __future__ import annotations

import importlib
import os
import random

from llm_relay.api.relay import providers

_LATER = (  # what calls import on first use, as not all of them need it
    "boto3",
    "botocore.config",
    "aws_lambda_powertools.utilities.idempotency",
)


def prepare() -> None:
    """Have the hooks called where Lambda takes snapshots of this function."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    try:
        hooks = importlib.import_module("snapshot_restore_py")  # which Lambda's runtime has
    except ImportError:
        return
    hooks.register_before_snapshot(warm)
    hooks.register_after_restore(diverge)


def warm() -> None:
    """Import what calls may need, and read the certificates that TLS trusts."""
    for name in _LATER:
        importlib.import_module(name)
    providers()


def diverge() -> None:
    """Let copies of one snapshot draw different numbers, or they would all retry at once."""
    random.seed()

"""Prepares a function before its SnapStart snapshot, and resets each restored copy.

The snapshot holds what every first call would do, up to the point where it needs a secret. It holds
no secret and no connection, so none has to be dropped.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Callable
from typing import Any

_LAZY_IMPORTS = ("boto3", "botocore.config", "aws_lambda_powertools.utilities.idempotency")


def register_hooks(warm_up: Callable[[], Any]) -> None:
    """Register the hooks if Lambda takes a snapshot of this function; `warm_up` runs before it."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    hooks = importlib.import_module("snapshot_restore_py")  # part of Lambda's runtime

    def before_snapshot() -> None:
        for name in _LAZY_IMPORTS:
            importlib.import_module(name)
        warm_up()

    hooks.register_before_snapshot(before_snapshot)
    # Copies with the same random state would all retry at the same moment.
    hooks.register_after_restore(random.seed)

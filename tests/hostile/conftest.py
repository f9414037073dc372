"""What the tests of hostile callers share with those of the handlers."""

from __future__ import annotations

from tests.e2e.conftest import loop, running
from tests.functions.conftest import ask, aws, environment, provider, secret
from tests.support.batch_api import api, state_machine
from tests.support.batch_environment import batch_aws
from tests.support.job_environment import job_world

__all__ = [  # fixtures
    "ask",
    "aws",
    "batch_aws",
    "environment",
    "api",
    "job_world",
    "loop",
    "provider",
    "running",
    "secret",
    "state_machine",
]

"""Fixtures and settings of every test."""

from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine than of the code.
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
settings.register_profile("fuzz", FUZZ)  # each round of `make fuzz`, which looks for what is new
settings.register_profile("calm", FUZZ, max_examples=100, derandomize=True)
settings.load_profile("calm")


@pytest.fixture(scope="session", autouse=True)
def _the_log_has_its_name() -> Iterator[None]:
    """Powertools keeps a logger under the name that it met first, whichever test that was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_SERVICE_NAME", "llm-relay")
        yield


@pytest.fixture(scope="session", autouse=True)
def _aws_is_read_about_once() -> Iterator[None]:
    """Each boto3 session reads AWS's service models, which takes most of creating a client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield

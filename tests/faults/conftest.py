"""The handlers in this process, as the tests of the functions have them."""

from tests.functions.conftest import (
    ask,  # noqa: F401 - a fixture, as all of these
    aws,  # noqa: F401
    environment,  # noqa: F401
    provider,  # noqa: F401
    secret,  # noqa: F401
    warm,  # noqa: F401
)

"""The template is translated once for all claims about it."""

import pytest

from tests.template.stack import ROOT, Stack, translate


@pytest.fixture(scope="session")
def stack() -> Stack:
    return translate(ROOT / "template.yaml")

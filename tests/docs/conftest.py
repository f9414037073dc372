"""One stack for all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.workshop import Workshop, workshop
from tests.e2e.conftest import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("project")) as shop:
        yield shop


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()

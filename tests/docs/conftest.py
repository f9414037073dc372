"""One stack for all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.docs_project import DocsProject, running_docs_project
from tests.e2e.conftest import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def docs_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocsProject]:
    with running_docs_project(tmp_path_factory.mktemp("project")) as docs_project:
        yield docs_project


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()

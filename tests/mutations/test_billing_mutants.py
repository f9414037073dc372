"""Builds that would charge a client too much are caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mutations.building import broken, unbroken, verdicts
from tests.mutations.mutants import CHECKS_WITHOUT_RESERVING, RETRIES_AFTER_THE_FIRST_BYTE, Mutant

if TYPE_CHECKING:
    from pathlib import Path

MUTANTS = [RETRIES_AFTER_THE_FIRST_BYTE, CHECKS_WITHOUT_RESERVING]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_build_that_bills_too_much_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    passed = verdicts(broken(mutant, tmp_path), mutant.caught_by)
    assert passed == dict.fromkeys(mutant.caught_by, False)


def test_an_unchanged_copy_passes_the_same_tests(tmp_path: Path) -> None:
    tests = [test for mutant in MUTANTS for test in mutant.caught_by]
    assert verdicts(unbroken(tmp_path), tests) == dict.fromkeys(tests, True)

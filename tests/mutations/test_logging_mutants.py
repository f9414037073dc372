"""Builds that log prompts, or lose rows, are caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mutations.building import MutantOutdated, broken, unbroken, verdicts
from tests.mutations.mutants import LOGS_THE_PROMPT, LOSES_THE_LAST_ROW, Change, Mutant

if TYPE_CHECKING:
    from pathlib import Path

MUTANTS = [LOGS_THE_PROMPT, LOSES_THE_LAST_ROW]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_build_that_logs_prompts_or_loses_rows_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    passed = verdicts(broken(mutant, tmp_path), mutant.caught_by)
    assert passed == dict.fromkeys(mutant.caught_by, False)


def test_an_unchanged_copy_passes_the_same_tests(tmp_path: Path) -> None:
    tests = [test for mutant in MUTANTS for test in mutant.caught_by]
    assert verdicts(unbroken(tmp_path), tests) == dict.fromkeys(tests, True)


def test_an_outdated_mutant_is_reported_as_such(tmp_path: Path) -> None:
    change = Change("billing/money.py", "nothing like it", "")
    outdated = Mutant(name="outdated", changes=(change,), caught_by=())
    with pytest.raises(MutantOutdated, match=r"'outdated' .* 0 times in billing/money.py. Renew"):
        broken(outdated, tmp_path)

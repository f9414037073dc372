"""Four builds that are broken on purpose, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """What stands once in a file of the package, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A broken build; all of the tests must fail on it."""

    name: str
    changes: tuple[Change, ...]
    caught_by: tuple[str, ...]


_CHAT = "tests/functions/billing/test_budgets.py::test_each_outcome_of_a_call_is_charged_exactly"
_LEDGER = "tests/functions/billing/test_ledger.py"
_CALLS = "tests/faults/test_aws_calls.py"
_WORKER = "tests/functions/test_batch_worker.py"

RETRIES_AFTER_THE_FIRST_BYTE = Mutant(
    name="retries after the first byte",
    changes=(
        Change(
            "api/api_gateway.py",
            """\
        return work(call)
""",
            """\
        try:
            return work(call)
        except POSSIBLY_BILLED:
            return work(call)
""",
        ),
    ),
    caught_by=(f"{_CHAT}[False-is interrupted]", f"{_CHAT}[False-closes the connection]"),
)
CHECKS_WITHOUT_RESERVING = Mutant(
    name="checks the budget and reserves nothing",
    changes=(
        Change(
            "billing/ledger_updates.py",
            '"change": change,',
            '"change": budget - old,',
        ),
        Change(
            "billing/ledger_updates.py",
            '{"n": _number(reservation.nanos), "until"',
            '{"n": _number(0), "until"',
        ),
    ),
    caught_by=(
        f"{_LEDGER}::test_the_maximum_cost_is_reserved_and_the_actual_cost_charged",
        f"{_LEDGER}::test_a_budget_lowered_below_its_use_refuses_calls_until_it_suffices",
    ),
)
LOGS_THE_PROMPT = Mutant(
    name="logs the prompt",
    changes=(
        Change(
            "validation/fields.py",
            """\
    if not isinstance(document, dict):
        raise BadRequest('The body must be a JSON object, such as {"model": "..."}.')
""",
            """\
    print(document)
""",
        ),
    ),
    caught_by=(
        f"{_CALLS}::test_nothing_is_sent_while_the_secret_is_unreadable_and_calls_recover[denied]",
    ),
)
LOSES_THE_LAST_ROW = Mutant(
    name="flushes before the last row",
    changes=(
        Change(
            "batch/worker/part_writer.py",
            "self._pending_bytes = self._pending, [], 0",
            "self._pending_bytes = self._pending[:-1], [], 0",
        ),
    ),
    caught_by=(f"{_WORKER}::test_every_row_is_answered_once_and_counted",),
)
MUTANTS = (
    RETRIES_AFTER_THE_FIRST_BYTE,
    CHECKS_WITHOUT_RESERVING,
    LOGS_THE_PROMPT,
    LOSES_THE_LAST_ROW,
)

"""Keeps clients within their budgets: what a call may cost is set aside before it is made."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.aws.dynamodb import Table, dynamodb
from llm_relay.billing.budget_periods import Period, day_at, period_at
from llm_relay.billing.ledger_account import (
    GRACE_SECONDS,
    Reservation,
    new_account,
    new_reservation_name,
    parse_account,
)
from llm_relay.billing.ledger_updates import (
    release_update,
    reserve_update,
    settle_update,
    sweep_update,
    usage_update,
)
from llm_relay.billing.money import format_usd
from llm_relay.core.errors import BudgetExceeded, LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.billing.ledger_account import LedgerAccount
    from llm_relay.core.client import Client
    from llm_relay.core.usage import Usage

# For a budget that changes, or holds that expire, between two looks at the account.
_LOOKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where accounts are kept, and what becomes of calls when they cannot be read."""

    table: str
    allows_on_failure: bool

    @classmethod
    def from_mapping(cls, environ: Mapping[str, str]) -> LedgerSettings:
        """Read the settings; KeyError without a table."""
        on_failure = environ.get("ON_LEDGER_FAILURE", "refuse")
        return cls(table=environ["CLIENTS_TABLE"], allows_on_failure=on_failure == "allow")


@lru_cache(maxsize=1)
def ledger() -> Ledger:
    """Return the ledger of this environment, made on first use."""
    return Ledger(LedgerSettings.from_mapping(os.environ))


class Ledger:
    """The accounts of all clients with a budget; `client` makes the client of DynamoDB."""

    def __init__(self, settings: LedgerSettings, client: Callable[[], Any] = dynamodb) -> None:
        self._settings = settings
        self._table = Table(settings.table, client)

    def reserve(
        self, client: Client, nanos: int, now: float, seconds: float, name: str | None = None
    ) -> Reservation | None:
        """Set money aside for a call of so many seconds; BudgetExceeded if too little is left.

        A hold with a name is set aside once, however often it is asked for. If DynamoDB is away:
        LedgerUnavailable, or None where the settings let calls pass.
        """
        period = period_at(client.budget_per, now)
        hold = Reservation(
            client=client.id,
            period=period.name,
            day=day_at(now),
            nanos=nanos,
            expires_at=int(now + seconds + GRACE_SECONDS),
            name=name or new_reservation_name(),
        )
        budget = client.budget_nanos or 0
        try:
            account = self._reserve(hold, budget, now)
        except Exception as error:  # noqa: BLE001 - whatever the reason, the budget is unknown
            self._note_failure("a budget could not be read", error, hold)
            if self._settings.allows_on_failure:
                return None
            raise _unavailable() from None
        if account:
            raise _exceeded(account, hold, period, budget, now)
        return hold

    def settle(self, hold: Reservation, cost_nanos: int, usage: Usage, model: str) -> None:
        """Charge a call's cost, give back the rest and count the usage: once, and never raising."""
        used = usage_update(hold, cost_nanos, usage, model, time.time())
        try:
            # A hold that was taken back in the meantime stands as a zero.
            if not self._table.transact([settle_update(hold, hold.nanos, cost_nanos), used]):
                self._table.transact([settle_update(hold, 0, cost_nanos), used])
        except Exception as error:  # noqa: BLE001 - the answer is paid for, and must go out
            self._note_failure("a cost could not be charged", error, hold, cost_nanos)

    def release(self, hold: Reservation) -> None:
        """Give all of it back, as nothing was paid; never raises."""
        try:
            self._table.update(release_update(hold))
        except Exception as error:  # noqa: BLE001 - it comes back by itself, only later
            self._note_failure("a hold could not be given back", error, hold)

    def _reserve(self, hold: Reservation, budget: int, now: float) -> LedgerAccount | None:
        """Return None once the money is set aside, or the account that has too little."""
        known = None
        for _ in range(_LOOKS):
            done, item = self._table.update(reserve_update(hold, budget, now, known))
            account = parse_account(item) if item else new_account(budget)
            if done or hold.name in account.reservations:  # done, or done before its reply was lost
                with suppress(Exception):
                    self._sweep(hold, account, now)
                return None
            is_swept = self._sweep(hold, account, now)
            if not is_swept and hold.nanos > account.available_under(budget):
                return account
            known = account if account.budget != budget else None
        raise TimeoutError  # others have changed the account each time

    def _sweep(self, hold: Reservation, account: LedgerAccount, now: float) -> bool:
        """Take back what dead calls hold; return whether there was anything."""
        expired, forgotten = account.expired(now), account.stale_tombstones(now)
        if not expired and not forgotten:
            return False
        self._table.update(sweep_update(hold, expired, forgotten))
        return True

    def _note_failure(
        self, what: str, error: Exception, hold: Reservation, cost_nanos: int | None = None
    ) -> None:
        # Enough to put the account right by hand; a message might quote more than that.
        response = getattr(error, "response", None) or {}  # None of a connection that broke
        facts = {
            "error": response.get("Error", {}).get("Code") or type(error).__name__,
            "ledger": f"{hold.client} {hold.period}",
            "hold": hold.name,
            "held_nanos": hold.nanos,
            "cost_nanos": cost_nanos,
        }
        _logger().error(
            what, extra={name: fact for name, fact in facts.items() if fact is not None}
        )


def _exceeded(
    account: LedgerAccount, hold: Reservation, period: Period, budget: int, now: float
) -> BudgetExceeded:
    reserved = account.reserved(now)
    left = max(0, budget - account.spent - reserved)
    costs = (hold.nanos, left, budget, account.spent, reserved)
    cost, remaining, total, spent, in_use = map(format_usd, costs)
    return BudgetExceeded(
        f"This call may cost up to {cost}, and {remaining} is left of your budget of {total}: "
        f"{spent} is spent and {in_use} reserved by calls in progress. The budget resets at "
        f"{period.resets_at}. Wait until then, or request fewer output tokens."
    )


def _unavailable() -> LedgerUnavailable:
    return LedgerUnavailable(
        "Your budget cannot be read now, so nothing was sent. Try again in a moment; if it lasts, "
        "tell whoever runs this endpoint that DynamoDB does not answer."
    )


@lru_cache(maxsize=1)
def _logger() -> Logger:
    return Logger()

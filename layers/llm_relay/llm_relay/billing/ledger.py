"""Keeps clients within their budgets: the maximum cost of a call is reserved before the call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from llm_relay.aws.dynamodb import Table, dynamodb
from llm_relay.billing.ledger_account import (
    GRACE_SECONDS,
    LedgerAccount,
    Period,
    Reservation,
    day_at,
    new_account,
    parse_account,
    period_at,
)
from llm_relay.billing.ledger_updates import (
    reserve_update,
    settle_update,
    sweep_update,
    usage_update,
)
from llm_relay.billing.money import format_usd, nanos_from_usd
from llm_relay.core.errors import BudgetExceeded, LedgerUnavailable

if TYPE_CHECKING:
    from llm_relay.core.client import Client
    from llm_relay.core.usage import Usage

_MAX_ATTEMPTS = 8  # as the budget may change, or reservations expire, between two attempts


@lru_cache(maxsize=1)
def ledger() -> Ledger:
    """Return the ledger of this environment, made on first use."""
    allows_on_failure = os.environ.get("ON_LEDGER_FAILURE") == "allow"
    return Ledger(os.environ["CLIENTS_TABLE"], allows_on_failure=allows_on_failure)


class Ledger:
    """The accounts of all clients with a budget; `client` makes DynamoDB's client."""

    def __init__(
        self, table: str, *, allows_on_failure: bool, client: Callable[[], Any] = dynamodb
    ) -> None:
        self._table = Table(table, client)
        self._allows_on_failure = allows_on_failure

    def reserve(self, client: Client, nanos: int, now: float, seconds: float) -> Reservation | None:
        """Reserve money for a call of up to so many seconds; BudgetExceeded if too little is left.

        If DynamoDB is unavailable: LedgerUnavailable, or None where the settings allow calls then.
        """
        period, budget = period_at(client.budget_per, now), client.budget_nanos or 0
        reservation = Reservation(
            client=client.id,
            period=period.name,
            day=day_at(now),
            nanos=nanos,
            expires_at=int(now + seconds + GRACE_SECONDS),
        )
        try:
            account = self._reserve(reservation, budget, now)
        except Exception as error:  # noqa: BLE001 - whatever the reason, the budget is unknown
            _log_failure("a budget could not be read", error, reservation)
            if self._allows_on_failure:
                return None
            raise LedgerUnavailable(
                "Your budget cannot be read, so nothing was sent. Try again in a moment. If this "
                "persists, tell the operator of this endpoint that DynamoDB is unavailable."
            ) from None
        if account:
            raise _exceeded(account, nanos, budget, period, now)
        return reservation

    def settle(self, reservation: Reservation, cost_nanos: int, usage: Usage, model: str) -> None:
        """Charge a call's cost, release the rest and add the usage, once; never raises."""
        used = usage_update(reservation, cost_nanos, usage, model, time.time())
        try:
            settle_reservation(self._table, reservation, cost_nanos, used)
        except Exception as error:  # noqa: BLE001 - the answer was billed and must be returned
            _log_failure("a cost could not be charged", error, reservation, cost_nanos=cost_nanos)

    def release(self, reservation: Reservation) -> None:
        """Release all of it, as nothing was billed; never raises."""
        try:
            self._table.update(settle_update(reservation, reservation.nanos, 0))
        except Exception as error:  # noqa: BLE001 - it expires later
            _log_failure("a reservation could not be released", error, reservation)

    def _reserve(self, reservation: Reservation, budget: int, now: float) -> LedgerAccount | None:
        """Return None if the money is reserved, or the account that has too little."""
        known = None
        for _ in range(_MAX_ATTEMPTS):
            is_done, item = self._table.update(reserve_update(reservation, budget, now, known))
            account = parse_account(item) if item else new_account(budget)
            if is_done or reservation.name in account.reservations:  # or its reply was lost
                with suppress(Exception):
                    self._sweep(reservation, account, now)
                return None
            is_swept = self._sweep(reservation, account, now)
            if not is_swept and reservation.nanos > account.available_under(budget):
                return account
            known = account if account.budget != budget else None
        raise TimeoutError  # other calls have changed the account each time

    def _sweep(self, reservation: Reservation, account: LedgerAccount, now: float) -> bool:
        """Release the reservations of crashed calls; return whether there were any."""
        expired, tombstones = account.expired(now), account.stale_tombstones(now)
        if not expired and not tombstones:
            return False
        self._table.update(sweep_update(reservation, expired, tombstones))
        return True


@dataclass(frozen=True, slots=True)
class Settlement:
    """The reservation of one call, to be settled once."""

    ledger: Ledger
    reservation: Reservation
    requested_model: str

    def settle(self, usage: Usage, model: str | None, *, possibly_billed: bool) -> None:
        """Charge the known cost, or all of the reservation; release one that was not billed."""
        if usage.cost_usd is None and not possibly_billed:
            self.ledger.release(self.reservation)
            return
        cost = self.reservation.nanos if usage.cost_usd is None else nanos_from_usd(usage.cost_usd)
        self.ledger.settle(self.reservation, cost, usage, model or self.requested_model)


def settle_reservation(
    table: Table, reservation: Reservation, cost_nanos: int, *usage_updates: dict[str, Any]
) -> None:
    """Charge a cost, release the rest and add the usage, once."""
    settled = settle_update(reservation, reservation.nanos, cost_nanos)
    if not table.transact([settled, *usage_updates]):
        # The reservation has expired and was set to zero.
        table.transact([settle_update(reservation, 0, cost_nanos), *usage_updates])


def _log_failure(what: str, error: Exception, reservation: Reservation, **more: int) -> None:
    # Enough to correct the account by hand; the error's message might quote more.
    response = getattr(error, "response", None) or {}  # None for a broken connection
    fields = {
        "error": response.get("Error", {}).get("Code") or type(error).__name__,
        "ledger": f"{reservation.client} {reservation.period}",
        "reservation": reservation.name,
        "reserved_nanos": reservation.nanos,
    }
    Logger().error(what, extra=fields | more)


def _exceeded(
    account: LedgerAccount, nanos: int, budget: int, period: Period, now: float
) -> BudgetExceeded:
    reserved = account.reserved(now)
    left = max(0, budget - account.spent - reserved)
    return BudgetExceeded(
        f"This call may cost up to {format_usd(nanos)}, and {format_usd(left)} is left of your "
        f"budget of {format_usd(budget)}: {format_usd(account.spent)} is spent and "
        f"{format_usd(reserved)} reserved by calls in progress. The budget resets at "
        f"{period.resets_at}. Wait until then, or request fewer output tokens."
    )

"""What one call has set aside, and pays in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_relay.billing.money import nanos_from_usd

if TYPE_CHECKING:
    from llm_relay.billing.ledger import Ledger
    from llm_relay.billing.ledger_account import Reservation
    from llm_relay.core.usage import Usage


class Settlement:
    """What one call has set aside, and pays in the end."""

    def __init__(self, ledger: Ledger, hold: Reservation, model: str) -> None:
        self._ledger = ledger
        self._hold = hold
        self._model = model  # the one asked for, in case the provider names none

    def settle(self, usage: Usage, model: str | None, *, possibly_billed: bool) -> None:
        """Charge the known cost; all that was set aside if it is unknown, nothing if unpaid."""
        if usage.cost_usd is not None:
            cost = nanos_from_usd(usage.cost_usd)
        elif possibly_billed:
            cost = self._hold.nanos
        else:
            self._ledger.release(self._hold)
            return
        self._ledger.settle(self._hold, cost, usage, model or self._model)

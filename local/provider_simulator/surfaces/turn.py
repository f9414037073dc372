"""One question with its answer and its price: what the wire formats are made from."""

from dataclasses import dataclass

from local.provider_simulator.content.answers import Answer
from local.provider_simulator.content.questions import Prompt
from local.provider_simulator.metering import Charge
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import Json

CREATED = 1795000000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedTurn:
    """An answered question; `number` makes its ids."""

    number: int
    model: str
    question: Prompt
    answer: Answer
    charge: Charge
    switches: Switches
    wants_usage: bool = False

    def identifier(self, prefix: str, index: int = 0) -> str:
        """Return an id that is unique on this server."""
        return f"{prefix}_sim{self.number:06d}{index}"

    def credit_fields(self, *, streamed: bool) -> Json:
        """Return the credit fields, if the switch `credits` shows them here."""
        shown = ("last-chunk",) if streamed else ("whole", "last-chunk")
        return self.charge.fields() if self.switches["credits"] in shown else {}

"""One prompt with its answer and price: the input of both wire formats."""

from dataclasses import dataclass

from local.provider_simulator.content.answers import Answer
from local.provider_simulator.content.prompts import Prompt
from local.provider_simulator.metering import Charge
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import Json

CREATED = 1795000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answered prompt; its ids derive from `number`."""

    number: int
    model: str
    prompt: Prompt
    answer: Answer
    charge: Charge
    switches: Switches
    wants_usage: bool = False

    def identifier(self, prefix: str, index: int = 0) -> str:
        """Return an id that is unique on this server."""
        return f"{prefix}_sim{self.number:06d}{index}"

    def credit_fields(self, *, streamed: bool) -> Json:
        """Return the credit fields, if the switch `credits` includes them here."""
        included = ("last-chunk",) if streamed else ("whole", "last-chunk")
        return self.charge.fields() if self.switches["credits"] in included else {}

"""One prompt with its answer and price, which each endpoint formats."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

from local.provider_simulator.content.answers import Answer
from local.provider_simulator.content.prompts import Prompt
from local.provider_simulator.switches import Switches
from local.provider_simulator.wire import Json, Step

CREATED = 1795000000
WORDS = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")  # each with the space before it


@dataclass(frozen=True, kw_only=True)
class Completion(ABC):
    """An answered prompt; its ids derive from `number`."""

    number: int
    model: str
    prompt: Prompt
    answer: Answer
    credits: Json
    switches: Switches

    @abstractmethod
    def body(self) -> Json:
        """Return the buffered answer."""

    @abstractmethod
    def steps(self) -> list[Step]:
        """Return the frames of the streamed answer."""

    def identifier(self, prefix: str, index: int = 0) -> str:
        """Return an id that is unique on this server."""
        return f"{prefix}_sim{self.number:06d}{index}"

    def split(self, text: str) -> list[str]:
        """Split a text into the chunks of a stream: words, or parts of nearly the same length."""
        if self.switches["chunks"] == "words":
            return WORDS.findall(text)
        count = max(1, min(self.switches.number("chunks"), len(text)))
        bounds = [i * len(text) // count for i in range(count + 1)]
        return [text[a:b] for a, b in pairwise(bounds) if a < b]

    def credit_fields(self, *, streamed: bool) -> Json:
        """Return the credit fields, if the switch `credits` includes them here."""
        included = ("last-chunk",) if streamed else ("whole", "last-chunk")
        return self.credits if self.switches["credits"] in included else {}

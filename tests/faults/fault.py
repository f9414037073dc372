"""What can go wrong with a call, how it is brought about, and which outcomes are allowed then."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from local.stack import Stack
    from tests.faults.provider.faulty_provider import FaultyProvider
    from tests.support.scripted_provider import Script


class Outcome(Enum):
    """How a call ended for its caller."""

    ANSWERED = "answered"  # a 2xx with the whole answer, byte for byte what the provider said
    REFUSED = "refused"  # an error in OpenAI's shape; nothing was billed
    BROKE = "broke"  # an error in OpenAI's shape that says: it may have been billed
    CUT = "cut"  # a stream that began with the answer and ended in an error event
    PROTOCOL_VIOLATION = "protocol violation"  # anything else: a fault of the relay


Outcomes = frozenset[Outcome]
ANSWERED = frozenset({Outcome.ANSWERED})
REFUSED = frozenset({Outcome.REFUSED})
BROKE = frozenset({Outcome.BROKE})
BROKE_OR_CUT = frozenset({Outcome.BROKE, Outcome.CUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A kind of call."""

    surface: str  # "chat" or "responses"
    streamed: bool

    @property
    def path(self) -> str:
        """The route, as the provider has it below its base URL."""
        return "/chat/completions" if self.surface == "chat" else "/responses"


CHAT = Form(surface="chat", streamed=False)
CHAT_STREAM = Form(surface="chat", streamed=True)
RESPONSE = Form(surface="responses", streamed=False)
RESPONSE_STREAM = Form(surface="responses", streamed=True)
FORMS = (CHAT, CHAT_STREAM, RESPONSE, RESPONSE_STREAM)
WHOLE = (CHAT, RESPONSE)
STREAMS = (CHAT_STREAM, RESPONSE_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the provider sees it: what to answer, and what is to go wrong with that."""

    form: Form
    cost_nanos: int  # of the answer
    chance: random.Random = field(repr=False)  # the same for the same call


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What faults happen to."""

    stack: Stack
    provider: FaultyProvider
    proxies: Mapping[str, Any] = field(default_factory=dict)  # in front of AWS, by service


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    It has either a `script`, which the provider plays to a request of that fate, or is `around`
    all calls that are made meanwhile.
    """

    name: str
    kind: str  # its row in the table
    allowed: Outcomes
    script: Callable[[Asked], Script] | None = None
    around: Callable[[World], AbstractContextManager[None]] | None = None
    forms: tuple[Form, ...] = FORMS  # the calls it can befall
    is_billed: bool = False  # the provider did its work, so the call must never be retried

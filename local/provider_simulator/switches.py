"""Everything a request can ask the simulator to do differently, and how it asks.

A request names switches in the header `x-simulate` or behind an @ in its model name, as
`name=value;name=value`; a bare name means on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.provider_simulator.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch; `allowed` separates alternatives by |, words in capitals are kinds of values."""

    name: str
    default: str
    allowed: str
    meaning: str


KINDS = {"SECONDS": r"\d+(\.\d+)?", "N": r"\d+", "STATUS": r"[45]\d\d", "TEXT": r".+"}

SWITCHES = (
    Switch("latency", "0", "SECONDS", "wait before the response headers"),
    Switch("first-token-delay", "0", "SECONDS", "wait between the headers and the first event"),
    Switch("chunks", "4", "N", "pieces a streamed text is split into (at most one per character)"),
    Switch("chunk-delay", "0", "SECONDS", "wait between those pieces"),
    Switch("words", "0", "N", "answer with a text of this many words (0: as the prompt asks)"),
    Switch("status", "200", "200|STATUS", "answer with this error status"),
    Switch("fault", "none", "none|reset|close|cut|silent-close|error-frame|error-event|stall"
           "|malformed|no-done", "how the answer breaks"),
    Switch("stall", "60", "SECONDS", "how long fault=stall is silent"),
    Switch("first-event", "ok", "ok|error", "error: 200 whose first event is an error; its status "
           "field is that of the switch status, or 503"),
    Switch("times", "0", "N", "status, fault and first-event hit only the first N calls that carry "
           "the same id, or the same switches (0: every call)"),
    Switch("id", "", "TEXT", "names the calls that times, rate-limit and credits-left count"),
    Switch("retry-after", "auto", "auto|date|missing|SECONDS", "that header on every error; auto: "
           "on 429 only, 1 or the time until the window ends; date: in 2 s, as an HTTP date"),
    Switch("error-body", "openai", "openai|detail|html|empty", "shape of error bodies"),
    Switch("unknown-keys", "422", "422|ignore", "chat: what an unknown top-level key earns"),
    Switch("keep-alive", "comment", "comment|blank|none", "what precedes the first event"),
    Switch("usage", "asked", "always|asked|never", "asked: chat streams show usage when asked to"),
    Switch("credits", "whole", "whole|last-chunk|absent", "credit fields in whole answers, also at "
           "the end of streams, or nowhere"),
    Switch("reasoning-field", "reasoning", "reasoning|reasoning_content|both|none",
           "chat: which field holds the reasoning"),
    Switch("reasoning-eats-tokens", "off", "on|off", "reasoning counts as output tokens"),
    Switch("responses-stream", "full", "full|minimal", "OpenAI's events, or the documented three"),
    Switch("tool-events", "openai", "openai|provider", "Responses: names of tool call events"),
    Switch("reasoning-items", "none", "none|text|summary", "Responses: a reasoning item before the "
           "answer, with its text in content or in summary"),
    Switch("refuses", "off", "on|off", "Responses: the text comes as a refusal"),
    Switch("web-search", "none", "none|first|inside", "Responses: events of a search, before "
           "response.created as the provider's pages have it, or after"),
    Switch("sequence-numbers", "on", "on|off", "Responses: number the events of a full stream"),
    Switch("done", "auto", "auto|on|off", "end streams with [DONE]; auto: chat only"),
    Switch("stream-ignored", "off", "on|off", "answer JSON although a stream was asked for"),
    Switch("request-id", "x-request-id", "x-request-id|none", "name of the request id header"),
    Switch("rate-limit", "0", "N", "requests per 60 s before 429 (0: as the server was started)"),
    Switch("credits-left", "auto", "auto|N", "credits before 402"),
    Switch("locked-models", "off", "on|off", "lock abliterated-model-large-v2"),
    Switch("previous-response", "accept", "accept|reject", "Responses: previous_response_id"),
)  # fmt: skip

BY_NAME = {switch.name: switch for switch in SWITCHES}
FAILURES = ("status", "fault", "first-event")


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of one request; those it did not give have their defaults."""

    given: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the value as text."""
        return self.given.get(name, BY_NAME[name].default)

    def number(self, name: str) -> int:
        """Return a count or a status."""
        return int(self[name])

    def seconds(self, name: str) -> float:
        """Return a time in seconds."""
        return float(self[name])

    def on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self[name] == "on"

    @property
    def group(self) -> str:
        """Name the calls that are counted together with this one."""
        return self["id"] or ";".join(f"{name}={value}" for name, value in self.given.items())

    def without_failures(self) -> "Switches":
        """Return the same switches for a call that is to succeed."""
        return Switches({k: v for k, v in self.given.items() if k not in FAILURES})


def read_switches(text: str) -> Switches:
    """Read switches, the last of a name counts; an unknown name or value is a 400."""
    given: dict[str, str] = {}
    for item in text.split(";"):
        name, has_value, value = item.partition("=")
        if name.strip():
            given[name.strip()] = value.strip() if has_value else "on"
    for name, value in given.items():
        _check(name, value)
    return Switches(given)


def _check(name: str, value: str) -> None:
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise ProviderError(400, f"Unknown switch {name!r}. Known: {known}.", code="unknown_switch")
    allowed = BY_NAME[name].allowed
    if not any(_fits(value, word) for word in allowed.split("|")):
        message = f"Switch {name!r} cannot be {value!r}. Allowed: {allowed}."
        raise ProviderError(400, message, code="unknown_switch")


def _fits(value: str, word: str) -> bool:
    return re.fullmatch(KINDS.get(word, re.escape(word)), value) is not None

"""Per-request switches of the simulator.

A request sets switches in the header `x-simulate` or after an @ in its model name, as
`name=value;name=value`; a bare name means on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.provider_simulator.wire import ProviderError


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch; `allowed` lists alternatives separated by |, kinds of values in capitals."""

    name: str
    default: str
    allowed: str
    meaning: str


KINDS = {"SECONDS": r"\d+(\.\d+)?", "N": r"\d+", "STATUS": r"[45]\d\d", "TEXT": r".+"}

SWITCHES = (
    Switch("latency", "0", "SECONDS", "wait before the response headers"),
    Switch("first-token-delay", "0", "SECONDS", "wait between the headers and the first event"),
    Switch("chunks", "4", "N|words", "number of chunks of a streamed text (at most one per "
           "character), or a chunk for each word, as in make run"),
    Switch("chunk-delay", "0", "SECONDS", "wait between those chunks; in make run it depends on "
           "SIMULATOR_TOKENS_PER_SECOND"),
    Switch("words", "0", "N", "answer with this many words (0: answer the prompt)"),
    Switch("status", "200", "200|STATUS", "answer with this error status"),
    Switch("fault", "none", "none|reset|close|cut|silent-close|error-frame|error-event|stall"
           "|malformed|no-done", "how the answer breaks"),
    Switch("stall", "60", "SECONDS", "duration of fault=stall"),
    Switch("first-event", "ok", "ok|error", "error: 200 whose first event is an error, with the "
           "status of the switch status, or 503"),
    Switch("times", "0", "N", "status, fault and first-event apply only to the first N calls with "
           "the same id, or the same switches (0: all calls)"),
    Switch("id", "", "TEXT", "group of calls that times, rate-limit and credits-left count"),
    Switch("retry-after", "auto", "auto|date|missing|SECONDS", "Retry-After of every error; auto: "
           "on 429 only, 1 or the time until the window ends; date: in 2 s, as an HTTP date"),
    Switch("error-body", "openai", "openai|detail|html|empty", "shape of error bodies"),
    Switch("unknown-keys", "422", "422|ignore", "chat: response to an unknown top-level key"),
    Switch("keep-alive", "comment", "comment|blank|none", "sent before the first event"),
    Switch("usage", "asked", "always|asked|never", "asked: chat streams include usage on request"),
    Switch("credits", "whole", "whole|last-chunk|absent", "credit fields in buffered answers, also "
           "at the end of streams, or never"),
    Switch("reasoning-field", "reasoning", "reasoning|reasoning_content|both|none",
           "chat: name of the reasoning field"),
    Switch("reasoning-eats-tokens", "off", "on|off", "reasoning counts as output tokens"),
    Switch("responses-stream", "full", "full|minimal", "OpenAI's events, or the three documented"),
    Switch("tool-events", "openai", "openai|provider", "Responses: names of tool call events"),
    Switch("reasoning-items", "none", "none|text|summary", "Responses: a reasoning item before the "
           "answer, with its text in content or in summary"),
    Switch("refuses", "off", "on|off", "Responses: return the text as a refusal"),
    Switch("web-search", "none", "none|first|inside", "Responses: events of a search, before "
           "response.created as the provider documents it, or after"),
    Switch("sequence-numbers", "on", "on|off", "Responses: number the events of a full stream"),
    Switch("done", "auto", "auto|on|off", "end streams with [DONE]; auto: chat only"),
    Switch("stream-ignored", "off", "on|off", "answer JSON to a request for a stream"),
    Switch("request-id", "x-request-id", "x-request-id|none", "name of the request id header"),
    Switch("rate-limit", "0", "N", "requests per 60 s before 429 (0: the server's limit)"),
    Switch("credits-left", "auto", "auto|N", "credits before 402"),
    Switch("locked-models", "off", "on|off", "lock abliterated-model-large-v2"),
    Switch("previous-response", "accept", "accept|reject", "Responses: previous_response_id"),
)  # fmt: skip

BY_NAME = {switch.name: switch for switch in SWITCHES}
FAILURES = ("status", "fault", "first-event")


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of one request, with defaults for those not given: the server's, or ours."""

    given: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the value as text."""
        return self.given.get(name) or self.defaults.get(name) or BY_NAME[name].default

    def number(self, name: str) -> int:
        """Return a count or a status."""
        return int(self[name])

    def seconds(self, name: str) -> float:
        """Return a time in seconds."""
        return float(self[name])

    def on(self, name: str) -> bool:
        """Return whether a switch is on."""
        return self[name] == "on"

    @property
    def group(self) -> str:
        """The group of calls that are counted together."""
        return self["id"] or ";".join(f"{name}={value}" for name, value in self.given.items())

    def without_failures(self) -> "Switches":
        """Return these switches without those that cause failures."""
        kept = {k: v for k, v in self.given.items() if k not in FAILURES}
        return Switches(kept, self.defaults)


def pace(tokens_per_second: float) -> dict[str, str]:
    """Return defaults with which streams are written at a pace, a word being a token; 0: none."""
    if not tokens_per_second:
        return {}
    return {"chunks": "words", "chunk-delay": f"{1 / tokens_per_second:f}"}


def parse_switches(text: str, defaults: Mapping[str, str]) -> Switches:
    """Parse switches, of which the last of a name applies; raise 400 for unknown ones."""
    given: dict[str, str] = {}
    for item in text.split(";"):
        name, has_value, value = item.partition("=")
        if name.strip():
            given[name.strip()] = value.strip() if has_value else "on"
    for name, value in given.items():
        _check(name, value)
    return Switches(given, defaults)


def _check(name: str, value: str) -> None:
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise ProviderError(400, f"Unknown switch {name!r}. Known: {known}.", code="unknown_switch")
    allowed = BY_NAME[name].allowed
    patterns = [KINDS.get(kind, re.escape(kind)) for kind in allowed.split("|")]
    if not re.fullmatch("|".join(patterns), value):
        message = f"Switch {name!r} cannot be {value!r}. Allowed: {allowed}."
        raise ProviderError(400, message, code="unknown_switch")

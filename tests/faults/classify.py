"""Reads an answer as a strict client would, and classifies how the call ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llm_relay.core.errors import UpstreamFailed, UpstreamTimedOut
from tests.faults.fault import Outcome
from tests.faults.provider.answers import ANSWER

if TYPE_CHECKING:
    from tests.faults.fault import Form

OURS = "internal_error"  # no input may cause that
_POSSIBLY_BILLED = {UpstreamFailed.code, UpstreamTimedOut.code}

Classification = tuple[Outcome, str, bool]  # and whether the usage was sent


def classify(form: Form, status: int, body: bytes) -> Classification:
    """Return how a call ended for its caller."""
    try:
        if status >= 400:
            return _error(status, json.loads(body))
        if form.streamed and body.lstrip()[:1] != b"{":
            return (_chat_stream if form.surface == "chat" else _responses_stream)(_events(body))
        return _whole(form, json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return _violation(f"{status} {type(error).__name__}: {error}")


def _violation(why: str) -> Classification:
    return Outcome.PROTOCOL_VIOLATION, why, False


def _error(status: int, document: Any) -> Classification:
    error = document["error"]
    code = error["code"]
    if error.keys() < {"message", "type", "param", "code"} or not isinstance(error["message"], str):
        return _violation(f"{status} in no shape")
    if code == OURS:
        return _violation(f"{status} {code}")
    return (
        (Outcome.BROKE if code in _POSSIBLY_BILLED else Outcome.REFUSED),
        f"{status} {code}",
        False,
    )


def _whole(form: Form, document: Any) -> Classification:
    if form.surface == "chat":
        (choice,) = document["choices"]
        text, counts = choice["message"]["content"], document.get("usage")
    else:
        text, counts = _text_of(document), document.get("usage")
    if text != ANSWER:
        return _violation("another answer")
    return Outcome.ANSWERED, "200", counts is not None


def _text_of(response: Any) -> str:
    if response["status"] != "completed":
        raise ValueError(response["status"])
    (message,) = response["output"]
    (part,) = message["content"]
    return str(part["text"])


def _events(body: bytes) -> list[Any]:
    """The events of a stream up to its end; every one is whole."""
    *found, rest = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")
    if rest:
        raise ValueError("an incomplete event")
    payloads = []
    for frame in found:
        lines = [line for line in frame.split(b"\n") if line.startswith(b"data:")]
        payloads += [b"\n".join(line[5:].strip() for line in lines)] if lines else []
    if b"[DONE]" in payloads:  # clients read no further
        payloads = payloads[: payloads.index(b"[DONE]") + 1]
    return [None if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


def _chat_stream(events: list[Any]) -> Classification:
    choices = [event for event in events if event and event.get("choices")]
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in choices)
    has_usage = any(event and event.get("usage") for event in events)
    if not ANSWER.startswith(text):
        return _violation("another answer")
    if events[-1] is None:
        if any(event and event.get("error") for event in events):
            return Outcome.CUT, "error, then DONE", has_usage
        is_whole = text == ANSWER and choices[-1]["choices"][0]["finish_reason"] == "stop"
        return (
            (Outcome.ANSWERED, "200", has_usage)
            if is_whole
            else _violation("a clean end too early")
        )
    error = events[-1].get("error")
    return (Outcome.CUT, str(error.get("code")), has_usage) if error else _violation("no end")


def _responses_stream(events: list[Any]) -> Classification:
    events = [event for event in events if event]
    last = events[-1]
    if last.get("error") and "type" not in last:
        return Outcome.CUT, str(last["error"].get("code")), False
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    if not ANSWER.startswith("".join(deltas)):
        return _violation("another answer")
    if last["type"] in ("response.failed", "error"):
        return Outcome.CUT, str(last["type"]), False
    if last["type"] == "response.completed" and _text_of(last["response"]) == ANSWER:
        return Outcome.ANSWERED, "200", last["response"].get("usage") is not None
    return _violation(f"ended with {last['type']}")

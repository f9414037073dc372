"""Derives findings about base URL, keys, model, limits, stream and clock from the probe."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_relay.core.defaults import object_in, text_in
from llm_relay.diagnostics.checklist import Finding, fail, not_checked, ok, warn
from llm_relay.diagnostics.measurements import WARN_SKEW_SECONDS, clock_skew, describe_skew
from llm_relay.providers.provider_error import with_hint

if TYPE_CHECKING:
    from llm_relay.diagnostics.provider_probe import ProbeResult, ProviderProbe

SET_KEY = "relay provider-key set --file provider-key.txt"
ADD_KEY = "relay provider-key set --add"
SET_URL = "sam deploy --parameter-overrides UpstreamBaseUrl=https://..."
_NOT_FOUND = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_NOT_ABOUT_MODEL = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_MAX_MODELS_IN_FIX = 5


def base_url(probe: ProviderProbe) -> Finding:
    """Check that there is an API at the base URL, over https."""
    url, answers = probe.base_url, probe.answers
    statuses = {answer.status for answer in answers}
    if not answers:
        fix = f"Compare it with the provider's documentation, and correct it: {SET_URL}"
        return fail(f"{url} gives no answer. {probe.listing.failure}", fix)
    knows_models = probe.listing.is_success or any(chat.is_about_model for chat in probe.chats)
    if statuses <= _NOT_FOUND and not knows_models:
        fix = f"The base URL is the part before /chat/completions, usually up to /v1. {SET_URL}"
        return fail(f"{url} answers {min(statuses)}: there is no such API.", fix)
    faults = [_not_an_api(url, answer) for answer in answers]
    if faults[0] and all(faults):
        return faults[0]
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _LOOPBACK:
        return warn(f"{url} is not https: others can read the key in transit.", SET_URL)
    return ok(f"{url} answers in {answers[0].seconds * 1000:.0f} ms")


def provider_key(probe: ProviderProbe) -> Finding:
    """Check that the provider accepts the stored keys."""
    results = probe.chats or [probe.listing]
    refused = _numbers(results, HTTPStatus.UNAUTHORIZED)
    if len(refused) == len(results):
        return fail(
            "The provider does not accept the stored key (401).",
            f"Check that it is a key for {probe.base_url}, not for another provider, and that it "
            "was neither revoked nor cut when copied. (White space, line breaks and quotation "
            f"marks were checked.) Copy it again from the provider's page: {SET_KEY}",
        )
    statuses = {result.status: result for result in results if not result.is_about_model}
    if unpaid := statuses.get(HTTPStatus.PAYMENT_REQUIRED):
        return fail(f"The account has no credits left (402). {unpaid.error_message}", "Top it up.")
    if forbidden := statuses.get(HTTPStatus.FORBIDDEN):
        return fail(
            f"The stored key may not do this (403). {forbidden.error_message}",
            f"Grant it the right to the model on the provider's page, or store another: {SET_KEY}",
        )
    if refused:
        return warn(
            f"Of {len(results)} keys, the provider refuses number {', '.join(refused)} (401).",
            f"Store the valid keys: {SET_KEY} - and each further one: {ADD_KEY}",
        )
    if unanswered := _numbers(results, 0):
        return warn(
            f"Without an answer, the state of key number {', '.join(unanswered)} is not known.",
            "Run it again, with a faster model if there is one: --model.",
        )
    return ok("accepted" if len(results) == 1 else f"all {len(results)} keys are accepted")


def model(probe: ProviderProbe) -> Finding:
    """Check that the model exists, is open to the key, and answers."""
    if probe.model is None:
        return fail("No model is named, and the provider lists none.", "Name one with --model.")
    entry = next((each for each in probe.listing.models if each.get("id") == probe.model), {})
    access = object_in(entry, "access")
    if access.get("locked") is True or access.get("available") is False:
        missing = ", ".join(map(str, access.get("missing_requirements") or [])) or "not reported"
        return fail(
            f"{probe.model} is locked for the stored key (missing requirements: {missing}).",
            f"Meet them on the provider's page. {_other_models(probe)}",
        )
    chats = [chat for chat in probe.chats if chat.status not in _NOT_ABOUT_MODEL]
    if not chats:
        return not_checked("it needs 'rate limit'")
    answered = [chat for chat in chats if chat.status]
    if not answered:
        says = f"{probe.model} gives no answer to a small request. {chats[0].failure}"
        return fail(says, f"Try again later. {_other_models(probe)}")
    if rejected := next((chat for chat in answered if not chat.is_success), None):
        message = rejected.error_message or rejected.failure
        hint = with_hint(rejected.status, message, rejected.error.get("code"))
        return fail(
            f"The provider refuses a small request to {probe.model} ({rejected.status}). {message}",
            f"{hint.removeprefix(message).lstrip('. ')} {_other_models(probe)}".strip(),
        )
    return ok(f"{probe.model} answers")


def rate_limit(probe: ProviderProbe) -> Finding:
    """Check that the provider's rate limits leave room for calls."""
    limited = (each for each in probe.answers if each.status == HTTPStatus.TOO_MANY_REQUESTS)
    if rejected := next(limited, None):
        message = rejected.error_message
        if rejected.error.get("code") == "insufficient_quota":
            return fail(f"The account has no credits left (429). {message}", "Top it up.")
        return fail(f"The provider refuses calls for now (429). {message}", _limit_fix(rejected))
    answers = [each for each in probe.answers if "x-ratelimit-limit-requests" in each.headers]
    if not answers:
        return ok("the provider reports none")
    limits = []
    for unit in ("requests", "tokens"):
        names = (f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}")
        limit, left = (answers[-1].headers.get(name, "") for name in names)
        if limit.isdecimal() and left.isdecimal():
            limits.append((unit, int(left), int(limit)))
    says = ", ".join(f"{left:,} of {limit:,} {unit} left" for unit, left, limit in limits)
    if any(not left for _, left, _ in limits):
        return fail(f"{says}: the next call is refused.", _limit_fix(answers[-1]))
    if any(left * 10 < limit for _, left, limit in limits):
        return warn(f"{says}: calls will soon be refused.", _limit_fix(answers[-1]))
    return ok(says)


def stream(probe: ProviderProbe) -> Finding:
    """Check that the provider streams."""
    timings = [chat.timing for chat in probe.chats if chat.is_success]
    if not timings:
        return not_checked("it needs 'rate limit'")
    timing = timings[0]
    fix = "Ask the provider, or the operator of a proxy before it, not to buffer text/event-stream."
    if timing is None:
        return warn("The provider does not stream its answer when asked to.", fix)
    if timing.is_buffered:
        return warn(f"The provider sends a stream all at once, at its end ({timing}).", fix)
    return ok(str(timing), seconds=timing.spread_seconds)


def clock(probe: ProviderProbe) -> Finding:
    """Check that the clocks of functions and provider agree."""
    dates = (answer.headers["date"] for answer in probe.answers if "date" in answer.headers)
    seconds = clock_skew(next(dates, None))
    if seconds is None:
        return ok("the provider does not report its time")
    if abs(seconds) > WARN_SKEW_SECONDS:
        return warn(
            f"The functions' clock is {describe_skew(seconds)} the provider's.",
            "On AWS the provider's clock is wrong, and so are the times in its rate limits; on "
            "your own machine, set the clock (timedatectl set-ntp true).",
        )
    return ok("agrees with the provider's")


def _numbers(results: list[ProbeResult], status: int) -> list[str]:
    """Return the numbers of the keys that got a status, counted from 1."""
    return [str(number) for number, each in enumerate(results, 1) if each.status == status]


def _not_an_api(url: str, answer: ProbeResult) -> Finding | None:
    """Return why an answer does not come from a working API; None if it may."""
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        says = f"{url} answers with a server error ({answer.status}). {answer.error_message}"
        return fail(says, "Look at the provider's status page, and try again later.")
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        kind = "a redirect"
    elif answer.is_success and not answer.document and answer.timing is None:
        kind = "no JSON, as a web site does"
    else:
        return None
    return fail(f"{url} answers with {kind} ({answer.status}).", f"It is not an API. {SET_URL}")


def _limit_fix(answer: ProbeResult) -> str:
    reset = answer.headers.get("retry-after") or answer.headers.get("x-ratelimit-reset-requests")
    wait = f"Wait (the limit resets after: {reset})" if reset else "Wait"
    return f"{wait}; request higher limits; lower BatchWorkers and JobsAtOnce; or: {ADD_KEY}"


def _other_models(probe: ProviderProbe) -> str:
    names = [name for each in probe.listing.models if (name := text_in(each, "id")) != probe.model]
    listed = f" Listed are {', '.join(names[:_MAX_MODELS_IN_FIX])}." if names else ""
    return f"Name another one with --model.{listed}"

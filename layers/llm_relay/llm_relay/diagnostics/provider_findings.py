"""What the provider's answers say of the base URL, the keys, the model and the limits."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_relay.core.defaults import object_in, text_in
from llm_relay.diagnostics.checklist import fail, not_checked, ok, warn
from llm_relay.diagnostics.clock_skew import NEAR_SECONDS, apart, seconds_apart
from llm_relay.providers.error_hints import with_hint

if TYPE_CHECKING:
    from llm_relay.diagnostics.checklist import Finding
    from llm_relay.diagnostics.provider_probe import ProbeResult, ProviderProbe

SET_KEY = "relay provider-key set --file provider-key.txt"
ADD_KEY = "relay provider-key set --add"
SET_URL = "sam deploy --parameter-overrides UpstreamBaseUrl=https://..."
NO_SUCH_PLACE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
SAY_NOTHING_OF_MODELS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
LISTED_IN_A_FIX = 5


def base_url(found: ProviderProbe) -> Finding:
    """Whether there is an API at the base URL, reached without showing the key to others."""
    url, statuses = found.base_url, {asked.status for asked in found.answers}
    if not statuses:
        return fail(
            f"{url} gives no answer. {found.listing.failure}",
            f"Compare it with the provider's documentation, and mend it: {SET_URL}",
        )
    if statuses <= NO_SUCH_PLACE and not _speaks_of_model(found):
        return fail(
            f"{url} answers {min(statuses)}: there is no such API.",
            "The base URL is what stands before /chat/completions; with most providers it ends in "
            f"/v1, which is added to one that names no version. {SET_URL}",
        )
    if all(_is_no_answer(asked) for asked in found.answers):
        return _not_an_api(url, found.answers[0])
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in LOOPBACK:
        return warn(f"{url} is not https: the key can be read on the way.", SET_URL)
    return ok(f"{url} answers in {found.answers[0].seconds * 1000:.0f} ms")


def provider_key(found: ProviderProbe) -> Finding:
    """Whether the provider accepts the stored keys."""
    answers = found.chats or [found.listing]
    refused = [n for n, each in enumerate(answers, 1) if each.status == HTTPStatus.UNAUTHORIZED]
    if len(refused) == len(answers):
        return fail(
            "The provider does not accept the stored key (401).",
            f"Is it a key for {found.base_url}, and not of another provider? Was it revoked, or "
            "cut when it was copied? (White space, line breaks and quotation marks were looked "
            f"for.) Copy it again from the provider's page: {SET_KEY}",
        )
    statuses = {each.status: each for each in answers if not each.is_about_model}
    if broke := statuses.get(HTTPStatus.PAYMENT_REQUIRED):
        return fail(f"The account has no credits left (402). {broke.says}", "Top it up.")
    if HTTPStatus.FORBIDDEN in statuses:
        return fail(
            f"The stored key may not do this (403). {statuses[HTTPStatus.FORBIDDEN].says}",
            "Give it the right, and the model, on the provider's page, or store another: "
            + SET_KEY,
        )
    if refused:
        numbers = ", ".join(map(str, refused))
        return warn(
            f"Of {len(answers)} keys the provider does not accept number {numbers} (401).",
            f"Store those that are good: {SET_KEY} - and the further ones: {ADD_KEY}",
        )
    if silent := [str(n) for n, each in enumerate(answers, 1) if not each.status]:
        return warn(
            f"Whether the provider accepts key number {', '.join(silent)} is not known: there was "
            "no answer.",
            "Run it again, with a quicker model if there is one: --model.",
        )
    return ok("accepted" if len(answers) == 1 else f"all {len(answers)} keys are accepted")


def model(found: ProviderProbe) -> Finding:
    """Whether the model is there, open to the key, and answers."""
    if found.model is None:
        return fail("No model is named, and the provider lists none.", "Name one with --model.")
    access = object_in(found.entry, "access")
    if access.get("locked") is True or access.get("available") is False:
        missing = ", ".join(map(str, access.get("missing_requirements") or [])) or "not told"
        return fail(
            f"{found.model} is locked for the stored key (what is missing: {missing}).",
            f"Meet that on the provider's page. {_others(found)}",
        )
    asked_for = [asked for asked in found.chats if asked.status not in SAY_NOTHING_OF_MODELS]
    if not asked_for:
        return not_checked("it needs 'rate limit'")
    answered = [asked for asked in asked_for if asked.status]
    if not answered:
        return fail(
            f"{found.model} gives no answer to a small question. {asked_for[0].failure}",
            f"Try again later. {_others(found)}",
        )
    if refusal := next((asked for asked in answered if not asked.is_good), None):
        said = refusal.says or refusal.failure
        return fail(
            f"The provider refuses a small question to {found.model} ({refusal.status}). {said}",
            f"{_advice(refusal, said)} {_others(found)}".strip(),
        )
    return ok(f"{found.model} answers")


def rate_limit(found: ProviderProbe) -> Finding:
    """Whether the provider lets us ask as often as we do."""
    limited = [asked for asked in found.answers if asked.status == HTTPStatus.TOO_MANY_REQUESTS]
    if limited:
        return _limited(limited[0])
    answers = [asked for asked in found.answers if "x-ratelimit-limit-requests" in asked.headers]
    if not answers:
        return ok("the provider tells of none")
    headers, shares = answers[-1].headers, []
    for what in ("requests", "tokens"):
        limit, left = (headers.get(f"x-ratelimit-{name}-{what}") for name in ("limit", "remaining"))
        if limit and left and limit.isdecimal() and left.isdecimal():
            shares.append((what, int(left), int(limit)))
    says = ", ".join(f"{left:,} of {limit:,} {what} left" for what, left, limit in shares)
    if any(not left for _, left, _ in shares):
        return fail(f"{says}: the next call is refused.", _more_room(answers[-1]))
    if any(left * 10 < limit for _, left, limit in shares):
        return warn(f"{says}: calls are about to be refused.", _more_room(answers[-1]))
    return ok(says)


def stream(found: ProviderProbe) -> Finding:
    """Whether the provider streams."""
    good = [asked for asked in found.chats if asked.is_good]
    if not good:
        return not_checked("it needs 'rate limit'")
    arrival = good[0].arrival
    fix = "Ask the provider, or what stands before it, not to buffer text/event-stream."
    if arrival is None:
        return warn("The provider answers whole when it is asked to stream.", fix)
    if arrival.was_held_back:
        return warn(f"The provider sends a stream whole, at its end ({arrival}).", fix)
    return ok(str(arrival), arrival.spread_seconds)


def clock(found: ProviderProbe) -> Finding:
    """Whether the functions' clock and the provider's agree."""
    dates = (asked.headers["date"] for asked in found.answers if "date" in asked.headers)
    seconds = seconds_apart(next(dates, None))
    if seconds is None:
        return ok("the provider does not tell its own")
    if abs(seconds) > NEAR_SECONDS:
        return warn(
            f"The functions' clock is {apart(seconds)} the provider's.",
            "On AWS it is the provider's that is wrong, and the times in its rate limits with it; "
            "on a machine of your own, set the clock (timedatectl set-ntp true).",
        )
    return ok("agrees with the provider's")


def _speaks_of_model(found: ProviderProbe) -> bool:
    return found.listing.is_good or any(asked.is_about_model for asked in found.chats)


def _is_no_answer(asked: ProbeResult) -> bool:
    is_empty = asked.is_good and not asked.document and asked.arrival is None
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= asked.status < HTTPStatus.BAD_REQUEST
    return is_empty or is_redirect or asked.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _not_an_api(url: str, asked: ProbeResult) -> Finding:
    if asked.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return fail(
            f"{url} fails by itself ({asked.status}). {asked.says}",
            "Look at the provider's status page, and try again later.",
        )
    what = "a redirect" if asked.status != HTTPStatus.OK else "no JSON, as a web site does"
    return fail(f"{url} answers with {what} ({asked.status}).", f"It is no API. {SET_URL}")


def _limited(asked: ProbeResult) -> Finding:
    if asked.error.get("code") == "insufficient_quota":
        return fail(f"The account has no credits left (429). {asked.says}", "Top it up.")
    return fail(f"The provider refuses calls for now (429). {asked.says}", _more_room(asked))


def _more_room(asked: ProbeResult) -> str:
    after = asked.headers.get("retry-after") or asked.headers.get("x-ratelimit-reset-requests")
    until = f" (there is room again: {after})" if after else ""
    return (
        f"Wait{until}; ask the provider for higher limits; lower BatchWorkers and JobsAtOnce; or "
        f"use more keys in turn: {ADD_KEY}"
    )


def _advice(asked: ProbeResult, said: str) -> str:
    return with_hint(asked.status, said, asked.error.get("code")).removeprefix(said).lstrip(". ")


def _others(found: ProviderProbe) -> str:
    names = [name for each in found.models if (name := text_in(each, "id")) != found.model]
    listed = f" Listed are {', '.join(names[:LISTED_IN_A_FIX])}." if names else ""
    return f"Name another one with --model.{listed}"

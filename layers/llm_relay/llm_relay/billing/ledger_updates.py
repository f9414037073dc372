"""The updates that change an account: each conditional, so that sending it twice is harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_relay.billing.ledger_account import account_key, usage_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.billing.ledger_account import LedgerAccount, Reservation, ReservedAmount
    from llm_relay.core.usage import Usage

# What DynamoDB deletes by itself: so long after the last change.
RETENTION_SECONDS = 400 * 86_400
# Names in one expression are limited; the rest is swept next time.
_SWEPT_AT_ONCE = 20

Update = dict[str, Any]


def reserve_update(
    hold: Reservation, budget: int, now: float, known: LedgerAccount | None
) -> Update:
    """Set money aside, if there is enough.

    `known` is the account if it was seen to be reckoned with another budget: what is available
    then changes by the difference. Without it, an account is opened if there is none.
    """
    old = budget if known is None else known.budget
    change = budget - old - hold.nanos
    is_enough = "budget = :old AND available >= :least"
    if known is None and hold.nanos <= budget:
        is_enough = f"(attribute_not_exists(available) OR ({is_enough}))"
    return {
        "Key": account_key(hold.client, hold.period),
        "UpdateExpression": (
            "SET available = if_not_exists(available, :budget) + :change, budget = :budget, "
            "spent = if_not_exists(spent, :zero), expires_at = :expires_at, #hold = :hold"
        ),
        "ConditionExpression": f"attribute_not_exists(#hold) AND {is_enough}",
        "ExpressionAttributeNames": {"#hold": hold.name},
        "ExpressionAttributeValues": {
            ":budget": number_attribute(budget),
            ":old": number_attribute(old),
            ":change": number_attribute(change),
            ":least": number_attribute(-change),
            ":zero": number_attribute(0),
            ":expires_at": number_attribute(int(now) + RETENTION_SECONDS),
            ":hold": {
                "M": {"n": number_attribute(hold.nanos), "until": number_attribute(hold.expires_at)}
            },
        },
    }


def settle_update(hold: Reservation, held_nanos: int, cost_nanos: int) -> Update:
    """Take the hold away, charge the cost and give the rest back."""
    return {
        "Key": account_key(hold.client, hold.period),
        "UpdateExpression": "SET available = available + :back, spent = spent + :cost REMOVE #hold",
        "ConditionExpression": "#hold.n = :held",
        "ExpressionAttributeNames": {"#hold": hold.name},
        "ExpressionAttributeValues": {
            ":back": number_attribute(held_nanos - cost_nanos),
            ":cost": number_attribute(cost_nanos),
            ":held": number_attribute(held_nanos),
        },
    }


def usage_update(  # noqa: PLR0913 - what a day's usage of one model is made of
    hold: Reservation, cost_nanos: int, usage: Usage, model: str, now: float, *, requests: int = 1
) -> Update:
    """Count what a call used, or several of them together."""
    return {
        "Key": usage_key(hold.client, hold.day, model),
        "UpdateExpression": (
            "SET expires_at = :expires_at "
            "ADD requests :requests, tokens_in :in, tokens_out :out, cost_nanos :cost"
        ),
        "ExpressionAttributeValues": {
            ":expires_at": number_attribute(int(now) + RETENTION_SECONDS),
            ":requests": number_attribute(requests),
            ":in": number_attribute(usage.tokens_in or 0),
            ":out": number_attribute(usage.tokens_out or 0),
            ":cost": number_attribute(cost_nanos),
        },
    }


def release_update(hold: Reservation) -> Update:
    """Take the hold away and give all of it back."""
    return {
        "Key": account_key(hold.client, hold.period),
        "UpdateExpression": "SET available = available + :held REMOVE #hold",
        "ConditionExpression": "#hold.n = :held",
        "ExpressionAttributeNames": {"#hold": hold.name},
        "ExpressionAttributeValues": {":held": number_attribute(hold.nanos)},
    }


def sweep_update(
    hold: Reservation, expired: Mapping[str, ReservedAmount], forgotten: list[str]
) -> Update:
    """Take back the money of holds whose calls have died, in the account of this hold."""
    dead, gone = list(expired.items())[:_SWEPT_AT_ONCE], forgotten[:_SWEPT_AT_ONCE]
    names = {f"#d{i}": name for i, (name, _) in enumerate(dead)}
    values = {f":d{i}": number_attribute(held.nanos) for i, (_, held) in enumerate(dead)}
    total = sum(held.nanos for _, held in dead)
    zeros = "".join(f", #d{i}.n = :zero" for i in range(len(dead)))
    removed = ", ".join(f"#g{i}" for i in range(len(gone)))
    unchanged = [f"#d{i}.n = :d{i}" for i in range(len(dead))]
    return {
        "Key": account_key(hold.client, hold.period),
        "UpdateExpression": f"SET available = available + :total{zeros}"
        + (f" REMOVE {removed}" if removed else ""),
        "ConditionExpression": " AND ".join(["attribute_exists(available)", *unchanged]),
        "ExpressionAttributeNames": names | {f"#g{i}": name for i, name in enumerate(gone)},
        "ExpressionAttributeValues": values
        | {":total": number_attribute(total)}
        | ({":zero": number_attribute(0)} if dead else {}),
    }


def number_attribute(value: int) -> dict[str, str]:
    """Return a number as DynamoDB takes it."""
    return {"N": str(value)}

"""Updates of accounts, each conditional, so that sending one twice is harmless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llm_relay.billing.ledger_account import (
    LedgerAccount,
    Reservation,
    ReservedAmount,
    account_key,
    usage_partition,
)

if TYPE_CHECKING:
    from llm_relay.aws.dynamodb import Item, Update
    from llm_relay.core.usage import Usage

_RETENTION_SECONDS = 400 * 86_400  # after the last change, DynamoDB deletes the item
_MAX_SWEPT = 20  # an expression has a maximum size; the rest is swept next time


def reserve_update(
    reservation: Reservation, budget: int, now: float, known: LedgerAccount | None
) -> Update:
    """Reserve money, if enough is available.

    `known` is an account that was computed with another budget; the difference changes what is
    available. Without it, the account is opened if there is none.
    """
    old = budget if known is None else known.budget
    change = budget - old - reservation.nanos
    is_enough = "budget = :old AND available >= :least"
    if known is None and reservation.nanos <= budget:
        is_enough = f"(attribute_not_exists(available) OR ({is_enough}))"
    values = {"budget": budget, "old": old, "change": change, "least": -change, "zero": 0}
    update = _update(
        account_key(reservation.client, reservation.period),
        "SET available = if_not_exists(available, :budget) + :change, budget = :budget, "
        "spent = if_not_exists(spent, :zero), expires_at = :expires_at, #name = :amounts",
        f"attribute_not_exists(#name) AND {is_enough}",
        {"#name": reservation.name},
        values | {"expires_at": int(now) + _RETENTION_SECONDS},
    )
    amounts = {"n": _number(reservation.nanos), "until": _number(reservation.expires_at)}
    update["ExpressionAttributeValues"][":amounts"] = {"M": amounts}
    return update


def settle_update(reservation: Reservation, reserved_nanos: int, cost_nanos: int) -> Update:
    """Remove the reservation, charge the cost and release the rest."""
    released = reserved_nanos - cost_nanos
    return _update(
        account_key(reservation.client, reservation.period),
        "SET available = available + :released, spent = spent + :cost REMOVE #name",
        "#name.n = :reserved",
        {"#name": reservation.name},
        {"released": released, "cost": cost_nanos, "reserved": reserved_nanos},
    )


def usage_update(  # noqa: PLR0913 - what a day's usage of one model consists of
    reservation: Reservation,
    cost_nanos: int,
    usage: Usage,
    model: str,
    now: float,
    *,
    requests: int = 1,
) -> Update:
    """Add the usage of one call, or of several together."""
    sort_key = f"{reservation.day}#{model}"
    counts = {"requests": requests, "cost": cost_nanos}
    tokens = {"tokens_in": usage.tokens_in or 0, "tokens_out": usage.tokens_out or 0}
    return _update(
        {"pk": {"S": usage_partition(reservation.client)}, "sk": {"S": sort_key}},
        "SET expires_at = :expires_at ADD requests :requests, cost_nanos :cost, "
        "tokens_in :tokens_in, tokens_out :tokens_out",
        "",
        {},
        counts | tokens | {"expires_at": int(now) + _RETENTION_SECONDS},
    )


def sweep_update(
    reservation: Reservation, expired: Mapping[str, ReservedAmount], tombstones: list[str]
) -> Update:
    """Set expired reservations of the same account to zero, and remove old tombstones."""
    swept, removed = list(expired.items())[:_MAX_SWEPT], tombstones[:_MAX_SWEPT]
    zeros = "".join(f", #s{i}.n = :zero" for i in range(len(swept)))
    remove = ", ".join(f"#r{i}" for i in range(len(removed)))
    names = {f"#s{i}": name for i, (name, _) in enumerate(swept)}
    values = {f"s{i}": amount.nanos for i, (_, amount) in enumerate(swept)}
    values |= {"total": sum(values.values())} | ({"zero": 0} if swept else {})
    unchanged = (f"#s{i}.n = :s{i}" for i in range(len(swept)))
    return _update(
        account_key(reservation.client, reservation.period),
        f"SET available = available + :total{zeros}" + (f" REMOVE {remove}" if removed else ""),
        " AND ".join(["attribute_exists(available)", *unchanged]),
        names | {f"#r{i}": name for i, name in enumerate(removed)},
        values,
    )


def _update(
    key: Item, expression: str, condition: str, names: dict[str, str], values: dict[str, int]
) -> Update:
    optional = {"ConditionExpression": condition, "ExpressionAttributeNames": names}
    return {
        "Key": key,
        "UpdateExpression": expression,
        "ExpressionAttributeValues": {f":{name}": _number(n) for name, n in values.items()},
        **{name: value for name, value in optional.items() if value},
    }


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}

"""GET /v1/usage: a client's usage, and what is left of its budget."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from llm_relay.api.api_gateway import ApiRequest, client_of, handle_request, json_success
from llm_relay.aws.dynamodb import Table
from llm_relay.billing.ledger_account import (
    account_key,
    day_at,
    new_account,
    parse_account,
    period_at,
    usage_partition,
)
from llm_relay.billing.money import usd_from_nanos
from llm_relay.core.errors import ClientNotFound, LedgerUnavailable

if TYPE_CHECKING:
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.client import Client
    from llm_relay.core.defaults import Document

USAGE_DAYS = 31  # the days of the longest budget period, today included
_DAY_SECONDS = 86_400


def show_usage(request: ApiRequest) -> HttpAnswer:
    """Return the usage of the calling client."""
    return handle_request(request, lambda call: json_success(call, _usage_of(client_of(request))))


def usage_report(client: Client, table: Table, now: float, days: int = USAGE_DAYS) -> Document:
    """Return a client's budget and its usage of the last days, from DynamoDB."""
    first_day = day_at(now - (days - 1) * _DAY_SECONDS)
    rows = table.iterate_from(usage_partition(client.id), first_day)
    return {
        "object": "usage",
        "client": client.id,
        "budget": _budget(client, table, now),
        "data": [_usage_row(row) for row in rows],
    }


def _usage_of(client: Client) -> Document:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - late, as boto3

    if not client.id:
        raise ClientNotFound(
            "Usage is recorded only for keys created with `relay keys create`; yours was not. "
            "Ask the operator of this endpoint for such a key."
        )
    try:
        return usage_report(client, Table(os.environ["CLIENTS_TABLE"]), time.time())
    except (BotoCoreError, ClientError):
        raise LedgerUnavailable(
            "Your usage cannot be read. Try again in a moment. If this persists, tell the operator "
            "of this endpoint that DynamoDB is unavailable."
        ) from None


def _budget(client: Client, table: Table, now: float) -> Document | None:
    budget = client.budget_nanos
    if budget is None:
        return None
    period = period_at(client.budget_per, now)
    item = table.get(account_key(client.id, period.name))
    account = parse_account(item) if item else new_account(budget)
    reserved = account.reserved(now)
    return {
        "usd": usd_from_nanos(budget),
        "per": client.budget_per,
        "spent_usd": usd_from_nanos(account.spent),
        "reserved_usd": usd_from_nanos(reserved),
        "remaining_usd": usd_from_nanos(max(0, budget - account.spent - reserved)),
        "resets_at": period.resets_at,
    }


def _usage_row(item: Document) -> Document:
    day, _, model = item["sk"]["S"].partition("#")
    names = ("requests", "tokens_in", "tokens_out")
    counts = {name: int(item[name]["N"]) for name in names}
    cost_usd = usd_from_nanos(int(item["cost_nanos"]["N"]))
    return {"day": day, "model": model, **counts, "cost_usd": cost_usd}

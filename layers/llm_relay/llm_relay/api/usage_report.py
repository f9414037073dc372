"""GET /v1/usage: what the calling client has used, and what is left of its budget."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from llm_relay.api.client_context import client_of
from llm_relay.api.request_handling import handle_request, json_success
from llm_relay.aws.dynamodb import Table
from llm_relay.billing.budget_periods import day_at, period_at
from llm_relay.billing.ledger_account import (
    account_key,
    new_account,
    parse_account,
    usage_partition,
)
from llm_relay.billing.money import usd_from_nanos
from llm_relay.core.errors import ClientNotFound, LedgerUnavailable

if TYPE_CHECKING:
    from llm_relay.api.api_gateway import ApiRequest
    from llm_relay.core.answer import HttpAnswer
    from llm_relay.core.client import Client
    from llm_relay.observability.call_record import CallRecord

# As many as the longest budget has, today included.
USAGE_DAYS = 31
_DAY_SECONDS = 86_400

Document = dict[str, Any]


def show_usage(request: ApiRequest) -> HttpAnswer:
    """Answer with the usage of the client that asks."""
    return handle_request(request, lambda call: _shown(call, client_of(request)))


def usage_report(client: Client, table: Table, now: float, days: int = USAGE_DAYS) -> Document:
    """Return a client's budget and its usage of so many days, as DynamoDB has them."""
    first = day_at(now - (days - 1) * _DAY_SECONDS)
    rows = table.iterate_from(usage_partition(client.id), first)
    return {
        "object": "usage",
        "client": client.id,
        "budget": _budget(client, table, now),
        "data": [_used(row) for row in rows],
    }


def _shown(call: CallRecord, client: Client) -> HttpAnswer:
    if not client.id:
        raise ClientNotFound(
            "Usage is kept for keys made with `relay keys create`, and yours is none of them. Ask "
            "whoever runs this endpoint for a key of your own."
        )
    return json_success(call, _report(client))


def _report(client: Client) -> Document:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - late, as boto3

    table = Table(os.environ["CLIENTS_TABLE"])
    try:
        return usage_report(client, table, time.time())
    except (BotoCoreError, ClientError):
        raise LedgerUnavailable(
            "Your usage cannot be read now. Try again in a moment; if it lasts, tell whoever runs "
            "this endpoint that DynamoDB does not answer."
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


def _used(row: Document) -> Document:
    day, _, model = row["sk"]["S"].partition("#")
    requests, tokens_in, tokens_out, cost = (
        int(row[name]["N"]) for name in ("requests", "tokens_in", "tokens_out", "cost_nanos")
    )
    return {
        "day": day,
        "model": model,
        "requests": requests,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "cost_usd": usd_from_nanos(cost),
    }

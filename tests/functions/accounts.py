"""A table of clients behind the door, and what its accounts say."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from llm_relay.account import Account, account_in, account_key
from llm_relay.clients import Client
from llm_relay.periods import period_at

if TYPE_CHECKING:
    from tests.functions.dynamodb_door import Door

CLIENT = "0123456789ab"


@dataclass
class Accounts:
    """A table of its own for one test."""

    door: Door
    table: str
    dynamodb: Any

    def read(self, per: str = "day", now: float | None = None) -> Account:
        """The account of this day or month; there must be one."""
        period = period_at(per, time.time() if now is None else now).name
        item = self.dynamodb.get_item(TableName=self.table, Key=account_key(CLIENT, period))
        return account_in(item["Item"])

    def used(self) -> list[dict[str, int]]:
        """The counts of every day and model, by name."""
        items = self.dynamodb.scan(TableName=self.table)["Items"]
        return [
            {name: int(value["N"]) for name, value in item.items() if name not in ("pk", "sk")}
            for item in items
            if item["pk"]["S"] == f"usage#{CLIENT}"
        ]


def make_table(dynamodb: Any) -> str:
    """Make a table as the template has it; returns its name."""
    name = f"clients-{time.monotonic_ns()}"
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in keys],
        KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys],
    )
    return name


def dynamodb_at(url: str) -> Any:
    session: Any = boto3.Session(region_name="us-east-1")
    return session.client("dynamodb", endpoint_url=url)


def client(budget_nanos: int | None, **more: Any) -> Client:
    """A client of the table, with a budget."""
    return Client(id=CLIENT, key_id="key-1", budget_nanos=budget_nanos, **more)


def is_sound(account: Account) -> bool:
    """Tell whether every nanodollar of the budget is in one place."""
    held = sum(hold.nanos for hold in account.holds.values())
    return account.available + account.spent + held == account.budget

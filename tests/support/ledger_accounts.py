"""A table of clients behind the proxy, and its accounts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from llm_relay.aws.dynamodb import dynamodb
from llm_relay.billing.ledger import ledger
from llm_relay.billing.ledger_account import LedgerAccount, account_key, parse_account, period_at
from llm_relay.core.client import Client
from tests.support.dynamodb_proxy import DynamoDbProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = "0123456789ab"


@dataclass
class Accounts:
    """A table of its own for one test."""

    dynamodb_proxy: DynamoDbProxy
    table: str
    dynamodb: Any

    def read(self, per: str = "day", now: float | None = None) -> LedgerAccount:
        """The account of this day or month; there must be one."""
        period = period_at(per, time.time() if now is None else now).name
        item = self.dynamodb.get_item(TableName=self.table, Key=account_key(CLIENT, period))
        return parse_account(item["Item"])

    def used(self) -> list[dict[str, int]]:
        """The counts of every day and model, by name."""
        items = self.dynamodb.scan(TableName=self.table)["Items"]
        return [
            {name: int(value["N"]) for name, value in item.items() if name not in ("pk", "sk")}
            for item in items
            if item["pk"]["S"] == f"usage#{CLIENT}"
        ]


@pytest.fixture
def accounts(environment: pytest.MonkeyPatch, aws: str) -> Iterator[Accounts]:
    """A table that the environment names, behind a proxy."""
    with DynamoDbProxy(aws) as dynamodb_proxy:
        behind = dynamodb_at(aws)
        table = make_table(behind)
        environment.setenv("CLIENTS_TABLE", table)
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_proxy.url)
        ledger.cache_clear()
        dynamodb.cache_clear()
        yield Accounts(dynamodb_proxy, table, behind)
        dynamodb().close()
        dynamodb.cache_clear()
        ledger.cache_clear()
        behind.close()


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


def is_sound(account: LedgerAccount) -> bool:
    """Tell whether every nanodollar of the budget is in one place."""
    held = sum(hold.nanos for hold in account.reservations.values())
    return account.available + account.spent + held == account.budget

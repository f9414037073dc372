"""The relay's functions in this process, with all of AWS behind a door where it may fail."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from llm_relay.api import relay
from llm_relay.api.idempotency import records
from llm_relay.aws.dynamodb import dynamodb
from tests.faults.aws.faults import FaultyAws
from tests.functions.conftest import PROVIDER_KEY, aws, environment, patience_with, secret
from tests.support.caller_faults import send_caller
from tests.support.ledger_accounts import Accounts, accounts
from tests.support.paying_provider import PayingProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Secret

__all__ = ["accounts", "aws", "environment", "secret"]

SEED = int(os.environ.get("SEED", "1"))
PROMPT = "canary-prompt"
SECRETS = (PROMPT, PROVIDER_KEY)


@pytest.fixture
def door(environment: pytest.MonkeyPatch, aws: str) -> Iterator[FaultyAws]:
    """All that the functions reach of AWS."""
    with FaultyAws(aws) as door, patience_with(urlsplit(door.url).port or 0):
        environment.setenv("AWS_ENDPOINT_URL", door.url)
        yield door


@dataclass(frozen=True, kw_only=True)
class Callers:
    """A client with a budget, whose calls the provider knows the price of."""

    door: FaultyAws
    paid: PayingProvider
    accounts: Accounts


@pytest.fixture
def callers(
    environment: pytest.MonkeyPatch, door: FaultyAws, secret: Secret, accounts: Accounts
) -> Iterator[Callers]:
    """Callers of the chat function; its tables are behind the door."""
    provider = PayingProvider()
    with provider:
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", door.url)
        environment.setenv("ANSWERS_TABLE", answers_table(accounts.dynamodb))
        forget()
        send_caller(dynamodb())
        yield Callers(door=door, paid=provider, accounts=accounts)
        forget()


def forget() -> None:
    """Forget what a function keeps between its calls."""
    for made in (dynamodb, records.persistence_layer, relay.provider_router):
        made.cache_clear()


def answers_table(dynamodb: Any) -> str:
    """Make a table for Idempotency-Keys as the template has it; returns its name."""
    name = f"answers-{time.monotonic_ns()}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    return name

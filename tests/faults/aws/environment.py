"""The relay's functions in this process, with all of AWS behind a proxy that injects faults."""

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
from tests.functions.conftest import PROVIDER_KEY, aws, environment, long_timeouts_for, secret
from tests.support.caller_faults import send_caller
from tests.support.ledger_accounts import Accounts, accounts
from tests.support.priced_provider import PricedProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Secret

__all__ = ["accounts", "aws", "environment", "secret"]

SEED = int(os.environ.get("SEED", "1"))
PROMPT = "canary-prompt"
SECRETS = (PROMPT, PROVIDER_KEY)


@pytest.fixture
def aws_proxy(environment: pytest.MonkeyPatch, aws: str) -> Iterator[FaultyAws]:
    """All that the functions reach of AWS."""
    with FaultyAws(aws) as aws_proxy, long_timeouts_for(urlsplit(aws_proxy.url).port or 0):
        environment.setenv("AWS_ENDPOINT_URL", aws_proxy.url)
        yield aws_proxy


@dataclass(frozen=True, kw_only=True)
class Callers:
    """A client with a budget, whose calls the provider knows the price of."""

    aws_proxy: FaultyAws
    priced_provider: PricedProvider
    accounts: Accounts


@pytest.fixture
def callers(
    environment: pytest.MonkeyPatch, aws_proxy: FaultyAws, secret: Secret, accounts: Accounts
) -> Iterator[Callers]:
    """Callers of the chat function; its tables are behind the proxy."""
    provider = PricedProvider()
    with provider:
        environment.setenv("UPSTREAM_BASE_URL", provider.base_url)
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", aws_proxy.url)
        environment.setenv("ANSWERS_TABLE", answers_table(accounts.dynamodb))
        forget()
        send_caller(dynamodb())
        yield Callers(aws_proxy=aws_proxy, priced_provider=provider, accounts=accounts)
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

"""The local stack in front of the faulty provider, with short timeouts; clients with budgets."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import requests

from bench.environment.certificate import make
from llm_relay.billing.ledger_account import (
    LedgerAccount,
    account_key,
    new_account,
    parse_account,
    period_at,
)
from local.settings import Settings
from local.stack import Stack
from tests.e2e.conftest import Loop
from tests.faults.catalogue import SCRIPTED
from tests.faults.fault import World
from tests.faults.provider.answers import PROVIDER_KEY
from tests.faults.provider.faulty_provider import FaultyProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PER = "month"  # a walk may go past midnight
BUDGET_NANOS = 10**15
IDLE_SECONDS = 1.0  # of silence end a call
SHORT_TIMEOUTS = {
    "UPSTREAM_CONNECT_SECONDS": "2",
    "UPSTREAM_IDLE_SECONDS": str(IDLE_SECONDS),
    "UPSTREAM_FIRST_BYTE_SECONDS": "8",
    "UPSTREAM_MAX_ATTEMPTS": "2",
    "UPSTREAM_LONGEST_WAIT_SECONDS": "1.5",
    "KEEP_ALIVE_SECONDS": "0.4",
}


@contextmanager
def world_in(
    folder: Path, concurrency: int, environment: Mapping[str, str] | None = None
) -> Iterator[World]:
    """A world whose functions log to `functions.log` in the folder."""
    certificate = make(folder)
    loop = Loop()
    try:
        with FaultyProvider(faults=SCRIPTED, certificate=certificate) as provider:
            settings = Settings(
                log=folder / "functions.log",
                upstream_url=provider.base_url,
                provider_key=PROVIDER_KEY,
                parameters={
                    "ProviderDialect": "abliteration",
                    "ThrottleRequestsPerSecond": 10_000,
                    "ThrottleBurst": 10_000,
                },
                environment=certificate.trust | SHORT_TIMEOUTS | dict(environment or {}),
                concurrency=concurrency,
                authorizer_ttl_seconds=3600,  # hundreds of callers come back to it at once
            )
            stack = Stack(settings)
            loop.run(stack.__aenter__())
            try:
                yield World(stack=stack, provider=provider)
            finally:
                loop.run(stack.__aexit__(None, None, None))
    finally:
        loop.close()


@dataclass
class BudgetedClient:
    """A client with a budget that is never used up, and the account that shows what it spent."""

    stack: Stack
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    def __post_init__(self) -> None:
        self.key = f"sk-relay-{self.id}-0001-{secrets.token_hex(20)}"
        gateway = self.stack.aws("apigateway")
        made = gateway.create_api_key(name=self.id, value=self.key, enabled=True)
        plan = self.stack.template.ref("UsagePlan")
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=made["id"], keyType="API_KEY")
        serial = {"M": {"key_id": {"S": made["id"]}, "created_at": {"N": "0"}}}
        profile = {
            "pk": {"S": f"client#{self.id}"},
            "sk": {"S": "profile"},
            "budget_nanos": {"N": str(BUDGET_NANOS)},
            "budget_per": {"S": PER},
            "keys": {"M": {"0001": serial}},
        }
        self._table = str(self.stack.template.ref("ClientsTable"))
        self._dynamodb: Any = self.stack.aws("dynamodb")
        self._dynamodb.put_item(TableName=self._table, Item=profile)

    @property
    def headers(self) -> dict[str, str]:
        """What a call of its own carries."""
        return {"authorization": f"Bearer {self.key}"}

    @property
    def base_url(self) -> str:
        """Where it calls."""
        return f"{self.stack.base_url}/v1"

    def session(self) -> aiohttp.ClientSession:
        """Connections of its own, as many as it needs; to be entered."""
        return session_with(self.key)

    def is_known(self) -> bool:
        """Whether the authorizer knows it by now, as it does after its first call."""
        return requests.get(f"{self.base_url}/usage", headers=self.headers, timeout=60).ok

    def account(self) -> LedgerAccount:
        """What it has spent and what is reserved."""
        key = account_key(self.id, period_at(PER, time.time()).name)
        found = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return parse_account(found["Item"]) if "Item" in found else new_account(BUDGET_NANOS)


def session_with(key: str) -> aiohttp.ClientSession:
    """Connections that carry a client key, as many as are needed."""
    anything = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=anything, headers={"authorization": f"Bearer {key}"})

"""Two providers in a list, each with a key of its own, and a table that their circuits are in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from llm_relay.api import relay
from llm_relay.providers import circuit_breaker
from tests.support.payloads import COMPLETION
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.ledger_accounts import Accounts

FIRST_KEY, SECOND_KEY = "ak_first_0000000000000000", "ak_second_000000000000000"
OK = whole(200, COMPLETION)
NO = {"error": {"message": "no", "type": "server_error", "code": "overloaded"}}
DOWN = "http://127.0.0.1:1/v1"
Entry = dict[str, Any]
_NUMBERS = count()


@dataclass
class Pair:
    """The providers, and their entries in the list."""

    first: ScriptedProvider
    second: ScriptedProvider
    environment: pytest.MonkeyPatch
    entries: list[Entry] = field(default_factory=list)

    def change_entries(self, first: Entry | None = None, second: Entry | None = None) -> None:
        """Change the entries of either provider in the list."""
        self.entries[0] |= first or {}
        self.entries[1] |= second or {}
        self.environment.setenv("PROVIDERS", json.dumps(self.entries))
        relay.provider_router.cache_clear()

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self.entries]

    @property
    def requests_received(self) -> list[int]:
        """The number of requests each received, model lists excluded."""
        return [sum(r.method == "POST" for r in p.requests) for p in (self.first, self.second)]


@pytest.fixture
def pair(environment: pytest.MonkeyPatch, accounts: Accounts, aws: str) -> Iterator[Pair]:
    client = boto3.client("secretsmanager", endpoint_url=aws)
    arns = [
        client.create_secret(Name=f"pair-{time.monotonic_ns()}", SecretString=key)["ARN"]
        for key in (FIRST_KEY, SECOND_KEY)
    ]
    with ScriptedProvider([OK]) as first, ScriptedProvider([OK]) as second:
        found = Pair(first, second, environment)
        number = next(_NUMBERS)  # circuits are counted by name, in this process
        for provider, arn, word in zip((first, second), arns, ("first", "second"), strict=True):
            entry = {"name": f"{word}-{number}", "base_url": provider.base_url, "secret_arn": arn}
            found.entries.append(entry)
        circuit_breaker.circuit_store.cache_clear()
        found.change_entries()
        yield found
        circuit_breaker.circuit_store.cache_clear()
        relay.provider_router.cache_clear()
    client.close()

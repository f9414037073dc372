"""Many callers at once, some of whose calls meet a fault, and batches beside them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import openai

from tests.e2e.batch.batches import ended, jsonl, lines, submit
from tests.faults.catalogue import NO_FAULT, SCRIPTED
from tests.faults.classify import classify
from tests.faults.environment import BudgetedClient, session_with
from tests.faults.fault import CHAT
from tests.faults.fault_schedule import Deck
from tests.faults.invariants import wrong_billing, wrong_charges, wrong_outcomes
from tests.faults.load.callers import HANGS_SECONDS, CallResult, ask
from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import aiohttp

    from tests.faults.fault import Fault, World
    from tests.faults.load.callers import Question
    from tests.faults.walk import Outcomes

FAULTY = 0.15  # of all calls
CLIENTS = 8  # with budgets, whom one caller in five calls for
EVERYONE = CLIENTS + 1  # the place of all others, whose calls are not charged
ROWS = 60  # of a batch
# What refuses a row may be waited out for an hour, which is a batch's business and not a load's.
ROW_FAULTS = [fault for fault in SCRIPTED.values() if fault.is_billed and CHAT in fault.forms]


@dataclass
class Load:
    """The results of all calls; every one is kept, as the accounts are checked at the end."""

    world: World
    seed: int
    ends: float  # on the monotonic clock
    results: list[list[CallResult]] = field(default_factory=list)  # by client
    batches: int = 0
    outcomes: Outcomes = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.clients = [BudgetedClient(self.world.stack) for _ in range(CLIENTS + 1)]
        self.results = [[] for _ in range(EVERYONE + 1)]
        for client in self.clients:
            wait_until(client.is_known, 60)

    def run(self, callers: int) -> None:
        """Call until it is time to end."""
        asyncio.run(self._all(callers))

    async def _all(self, callers: int) -> None:
        working = [self._caller(number) for number in range(callers)]
        await asyncio.gather(asyncio.to_thread(self._batches), *working)

    async def _caller(self, number: int) -> None:
        deck = Deck(f"{self.seed}-{number}")
        place = EVERYONE if number % 5 else number // 5 % CLIENTS
        base_url = self.clients[0].base_url
        async with self._session(place) as session:
            while time.monotonic() < self.ends:
                faulty = deck.chance.random() < FAULTY
                question = deck.question(deck.fault() if faulty else NO_FAULT)
                self._note(place, await ask(session, base_url, question))

    def _session(self, place: int) -> aiohttp.ClientSession:
        if place == EVERYONE:
            return session_with(self.world.stack.client_key)
        return self.clients[place].session()

    def _note(self, place: int, result: CallResult) -> None:
        self.results[place].append(result)
        self.outcomes[result.question.fault.kind, result.outcome] += 1

    def _batches(self) -> None:
        """One batch after the other, of a client of its own."""
        deck, client = Deck(f"{self.seed}-batch", ROW_FAULTS), self.clients[-1]
        with openai.OpenAI(base_url=client.base_url, api_key=client.key) as caller:
            while time.monotonic() < self.ends:
                rows = [deck.question(self._row_fault(deck), (CHAT,)) for _ in range(ROWS)]
                for result in batch_of(caller, rows):
                    self._note(CLIENTS, result)
                self.batches += 1

    @staticmethod
    def _row_fault(deck: Deck) -> Fault:
        return deck.fault() if deck.chance.random() < FAULTY else NO_FAULT

    def wrong(self) -> Iterator[str]:
        """Yield the violated invariants, once all calls are over."""
        for results in self.results:
            yield from wrong_outcomes(results, longest_seconds=HANGS_SECONDS)
            yield from wrong_billing(results, self.world.provider)
        for client, results in zip(self.clients, self.results, strict=False):
            left = unsettled(client, self.world.stack.settings.log)
            yield from (
                f"client {client.id} still holds {hold}" for hold, cost in left if cost is None
            )
            yield from wrong_charges(
                results, client.account().spent + sum(cost or 0 for _, cost in left)
            )

    @property
    def sound(self) -> list[CallResult]:
        """Calls without a fault, rows left out."""
        callers = (*self.results[:CLIENTS], self.results[EVERYONE])
        return [each for results in callers for each in results if each.question.fault is NO_FAULT]


def unsettled(client: BudgetedClient, log: Path) -> list[tuple[str, int | None]]:
    """Return what is still reserved, and what the log says should have been charged for it, if any.

    Where DynamoDB is too slow for a charge, the operator can make it by hand from that.
    """
    with suppress(AssertionError):
        wait_until(lambda: client.account().reservations.keys() <= logged_unsettled(log).keys(), 60)
    logged = logged_unsettled(log)
    return [(hold, logged.get(hold)) for hold in client.account().reservations]


def logged_unsettled(log: Path) -> dict[str, int]:
    """Return the costs that the log reports as not charged, by the hold."""
    found = (
        json.loads(line) for line in log.read_bytes().splitlines() if b'"reserved_nanos"' in line
    )
    return {line["reservation"]: line.get("cost_nanos", 0) for line in found}


def batch_of(caller: openai.OpenAI, rows: list[Question]) -> Iterator[CallResult]:
    """The result of each row of a batch; ValueError if that is not one line."""
    started = time.monotonic()
    content = jsonl(
        {"custom_id": row.name, "method": "POST", "url": "/v1/chat/completions", "body": row.body}
        for row in rows
    )
    batch = ended(caller, submit(caller, content), 600)
    files = [file for file in (batch.output_file_id, batch.error_file_id) if file]
    found = [line for file in files for line in lines(caller, file)]
    by_name = {line["custom_id"]: line["response"] for line in found}
    if len(found) != len(rows) or by_name.keys() != {row.name for row in rows}:
        raise ValueError(f"{len(rows)} rows, {len(found)} lines, {len(by_name)} of them differ")
    for row in rows:
        response = by_name[row.name]
        body = json.dumps(response["body"]).encode()
        outcome, why, has_usage = classify(CHAT, response["status_code"], body)
        yield CallResult(
            question=row,
            outcome=outcome,
            why=f"row, {why}",
            seconds=min(50, time.monotonic() - started),  # rows wait for each other
            first_seconds=0,
            has_usage=has_usage,
        )

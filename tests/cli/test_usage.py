"""`relay usage`: what all clients used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

from cli.main import main
from llm_relay.billing.ledger_account import usage_partition
from tests.cli.conftest import TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RelayRunner

MODEL = "abliterated-model"


def day(back: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=back):%Y-%m-%d}"


def client_with_usage(runner: RelayRunner, name: str, *wishes: str, **rows: int) -> str:
    """Makes a client that used something some days ago (`days_2=3`: 3 requests 2 days ago)."""
    client = str(runner.json("keys", "create", name, *wishes)["client"]["id"])
    for back, requested in rows.items():
        numbers = {
            "requests": requested,
            "tokens_in": 10 * requested,
            "tokens_out": 5 * requested,
            "cost_nanos": 1_250_000 * requested,
        }
        item: dict[str, Any] = {
            "pk": {"S": usage_partition(client)},
            "sk": {"S": f"{day(int(back.removeprefix('days_')))}#{MODEL}"},
        }
        item |= {key: {"N": str(value)} for key, value in numbers.items()}
        table = runner.stack.template.ref("ClientsTable")
        runner.stack.aws("dynamodb").put_item(TableName=table, Item=item)
    return client


def report_of(runner: RelayRunner, client: str, *options: str) -> Any:
    return next(r for r in runner.json("usage", *options) if r["client"] == client)


def test_every_client_is_reported_with_its_days_models_and_budget(runner: RelayRunner) -> None:
    wishes = ("--budget-usd", "2", "--per", "day")
    client = client_with_usage(runner, "spender", *wishes, days_0=4, days_3=2)
    report = report_of(runner, client)
    assert report["name"] == "spender"
    assert report["data"] == [
        {
            "day": day(back),
            "model": MODEL,
            "requests": requested,
            "tokens_in": 10 * requested,
            "tokens_out": 5 * requested,
            "cost_usd": cost,
        }
        for back, requested, cost in ((3, 2, 0.0025), (0, 4, 0.005))
    ]
    budget = report["budget"]
    assert (budget["usd"], budget["per"]) == (2.0, "day")
    assert (budget["spent_usd"], budget["reserved_usd"], budget["remaining_usd"]) == (0, 0, 2.0)


def test_days_before_the_requested_ones_are_left_out(runner: RelayRunner) -> None:
    client = client_with_usage(runner, "early", days_1=1, days_20=1)
    found = {
        days: len(report_of(runner, client, "--days", days)["data"]) for days in ("1", "2", "21")
    }
    assert found == {"1": 0, "2": 1, "21": 2}


def test_a_table_and_a_bar_for_each_day_are_for_people(runner: RelayRunner) -> None:
    client_with_usage(runner, "drawn", "--budget-usd", "7", days_1=1000)
    shown = runner.quiet("usage", "--days", "3")
    (row,) = (line for line in shown.splitlines() if line.startswith("drawn"))
    for cell in ("1,000", "10,000", "5,000", "$1.25", "$7 per month"):
        assert cell in row
    bars = {line[:10]: line.count("█") for line in shown.splitlines() if line.startswith("20")}
    assert [*bars] == [day(2), day(1), day(0)]
    assert bars[day(1)] == max(bars.values()) > bars[day(2)]


def test_a_revoked_client_is_reported_only_if_it_has_usage(runner: RelayRunner) -> None:
    used = client_with_usage(runner, "left-traces", days_0=1)
    unused = client_with_usage(runner, "left-none")
    for client in (used, unused):
        runner.quiet("keys", "revoke", client, "--yes")
    reported = {report["client"] for report in runner.json("usage")}
    assert used in reported
    assert unused not in reported


def test_the_calls_that_no_client_s_usage_includes_are_mentioned(
    runner: RelayRunner, deployed: Path
) -> None:
    note = "Calls with the first client key have no client profile and are not counted: see "
    assert f"{note}the log .relay-local.log." in runner.quiet("usage").splitlines()
    done = CliRunner().invoke(main, ["usage"], obj=deployed)
    key = runner.stack.template.ref("ClientKey")
    assert f'{note}the saved query "Cost by client", client {key}.' in done.stdout.splitlines()


@pytest.mark.parametrize("days", ["0", "401", "x"])
def test_invalid_days_are_refused(runner: RelayRunner, days: str) -> None:
    assert runner.relay("usage", "--days", days).exit_code == 2


def test_a_client_and_the_operator_get_the_same_report(runner: RelayRunner) -> None:
    made = runner.json("keys", "create", "agreeing", "--budget-usd", "1")
    url, headers = f"{runner.stack.base_url}/v1", {"Authorization": f"Bearer {made['key']}"}
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Reply with: it works"}],
        "max_tokens": 50,
    }
    asked = requests.post(f"{url}/chat/completions", json=body, headers=headers, timeout=TIMEOUT)
    assert asked.status_code == 200, asked.text
    own = requests.get(f"{url}/usage", headers=headers, timeout=TIMEOUT).json()
    report = report_of(runner, made["client"]["id"], "--days", "31")
    del report["name"]
    assert report == own
    assert [row["requests"] for row in own["data"]] == [1]
    assert own["budget"]["spent_usd"] == own["data"][0]["cost_usd"] > 0

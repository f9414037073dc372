"""`relay keys`: clients come, are looked at, and go."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import RelayRunner

KEY = re.compile(r"sk-relay-([0-9a-f]{12})-0001-[A-Za-z0-9]{40}")


def test_a_new_key_is_accepted_at_once(runner: RelayRunner) -> None:
    key = runner.quiet("keys", "create", "opens", "--quiet")
    match = KEY.fullmatch(key)
    assert match
    assert runner.json("keys", "show", match[1])["name"] == "opens"
    assert runner.status(key) == 200


def test_for_people_a_new_key_is_shown_with_what_to_do_with_it(runner: RelayRunner) -> None:
    shown = runner.quiet("keys", "create", "shown")
    assert len(KEY.findall(shown)) == 1
    assert "OPENAI_API_KEY" in shown


def test_for_scripts_a_new_key_comes_with_its_client(runner: RelayRunner) -> None:
    made = runner.json("keys", "create", "scripted", "--budget-usd", "0.5", "--per", "day")
    assert KEY.fullmatch(made["key"])
    assert made["client"]["budget_usd"] == 0.5
    assert made["client"]["keys"][0]["key_id"] == made["key_id"]


def test_a_client_s_limits_are_in_its_profile(runner: RelayRunner) -> None:
    limits = ("--max-output-tokens", "500", "--model", "a", "--model", "b/c:d")
    runner.quiet("keys", "create", "terms", "--budget-usd", "12.345678901", *limits)
    item = runner.item("terms")
    (serial,) = item["keys"]["M"].items()
    assert serial[0] == "0001"
    assert {*serial[1]["M"]} == {"key_id", "created_at"}
    assert abs(int(item["created_at"]["N"]) - time.time()) < 60
    assert item["pk"]["S"].startswith("client#")
    rest = {name: item[name] for name in {*item} - {"pk", "keys", "created_at"}}
    assert rest == {
        "sk": {"S": "profile"},
        "name": {"S": "terms"},
        "budget_nanos": {"N": "12345678901"},
        "budget_per": {"S": "month"},
        "max_output_tokens": {"N": "500"},
        "models": {"L": [{"S": "a"}, {"S": "b/c:d"}]},
        "plan_id": {"S": runner.stack.template.ref("UsagePlan")},
    }


def test_what_is_not_limited_is_not_in_the_profile(runner: RelayRunner) -> None:
    runner.quiet("keys", "create", "free")
    absent = {"budget_nanos", "budget_per", "max_output_tokens", "models", "revoked_at"}
    assert not absent & {*runner.item("free")}


def test_limits_of_its_own_make_a_plan_that_takes_the_rest_from_the_stack_s(
    runner: RelayRunner,
) -> None:
    gateway, shared = runner.stack.aws("apigateway"), runner.stack.template.ref("UsagePlan")
    throttled = runner.json("keys", "create", "throttled", "--rps", "2.5")["client"]
    counted = ("--quota", "7", "--quota-per", "week", "--rps", "3", "--burst", "4")
    counting = runner.json("keys", "create", "counting", *counted)["client"]
    own, both, all_s = (
        gateway.get_usage_plan(usagePlanId=plan)
        for plan in (throttled["plan_id"], counting["plan_id"], shared)
    )
    assert own["throttle"] == {"rateLimit": 2.5, "burstLimit": 5}
    assert (own["quota"], own["apiStages"]) == (all_s["quota"], all_s["apiStages"])
    assert both["throttle"] == {"rateLimit": 3.0, "burstLimit": 4}
    assert both["quota"] == {"limit": 7, "period": "WEEK"}


def test_a_quota_of_its_own_is_enforced_by_the_local_stack(runner: RelayRunner) -> None:
    key = runner.quiet("keys", "create", "quota", "--quota", "1", "--quiet")
    assert [runner.status(key) for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "wishes",
    [
        ("--budget-usd", "0"),
        ("--budget-usd", "-1"),
        ("--budget-usd", "nan"),
        ("--budget-usd", "inf"),
        ("--budget-usd", "0.0000000001"),
        ("--per", "day"),
        ("--budget-usd", "1", "--per", "week"),
        ("--rps", "0"),
        ("--burst", "3"),
        ("--quota", "0"),
        ("--quota-per", "day"),
        ("--quota", "1", "--quota-per", "year"),
        ("--model", "a,b"),
        ("--model", ""),
        ("--max-output-tokens", "0"),
    ],
)
def test_an_invalid_option_creates_nothing_and_exits_with_2(
    runner: RelayRunner, wishes: tuple[str, ...]
) -> None:
    before = runner.api_key_ids(), runner.plan_ids(), len(runner.items())
    done = runner.relay("keys", "create", "unused", *wishes)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error" in done.stderr
    assert before == (runner.api_key_ids(), runner.plan_ids(), len(runner.items()))


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "0123456789ab", "sk-relay-x"])
def test_an_invalid_name_is_refused(runner: RelayRunner, name: str) -> None:
    assert runner.relay("keys", "create", name).exit_code == 2


def test_a_client_that_cannot_be_stored_leaves_no_key_and_no_plan(
    changed_note: Callable[..., RelayRunner], runner: RelayRunner
) -> None:
    resources = {**runner.stack.template.physical_ids, "ClientsTable": "no-such-table"}
    before = runner.api_key_ids(), runner.plan_ids()
    done = changed_note(resources=resources).relay("keys", "create", "lost", "--rps", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "PutItem" in done.stderr or "Scan" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == (runner.api_key_ids(), runner.plan_ids())


def test_clients_are_listed_with_the_ids_of_their_keys(runner: RelayRunner) -> None:
    made = runner.json("keys", "create", "[bold]listed[/]", "--budget-usd", "3", "--model", "m")
    found = {client["id"]: client for client in runner.json("keys", "list")}
    assert found[made["client"]["id"]] == made["client"]
    shown = runner.quiet("keys", "list")
    for word in ("[bold]listed[/]", made["key_id"], "$3 per month"):
        assert word in shown


def test_a_client_is_shown_with_what_its_plan_allows(runner: RelayRunner) -> None:
    runner.quiet("keys", "create", "looked-at", "--rps", "2", "--max-output-tokens", "1000")
    shown = runner.quiet("keys", "show", "looked-at")
    for words in (
        "2 per second, 4 at once",
        "100,000 requests per day",
        "Max output tokens  1,000",
    ):
        assert words in shown


def test_a_name_of_two_clients_of_an_older_version_is_not_enough(runner: RelayRunner) -> None:
    first, second = runner.json("keys", "create", "twin")["client"]["id"], "0123456789ab"
    twin = runner.item("twin") | {"pk": {"S": f"client#{second}"}}
    table = runner.stack.template.ref("ClientsTable")
    runner.stack.aws("dynamodb").put_item(TableName=table, Item=twin)
    done = runner.relay("keys", "show", "twin")
    assert done.exit_code == 1
    assert first in done.stderr
    assert second in done.stderr
    runner.quiet("keys", "revoke", second, "--yes")
    assert runner.json("keys", "show", "twin")["id"] == first


def test_a_name_in_use_is_refused_and_a_revoked_client_s_is_free_again(
    runner: RelayRunner,
) -> None:
    first = runner.json("keys", "create", "taken name")["client"]["id"]
    before = runner.api_key_ids(), runner.plan_ids(), len(runner.items())
    done = runner.relay("keys", "create", "taken name", "--rps", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: A client named taken name exists. "
        "Rotate its key with: relay keys rotate 'taken name' --local\n"
    )
    assert before == (runner.api_key_ids(), runner.plan_ids(), len(runner.items()))
    runner.quiet("keys", "revoke", first, "--yes")
    assert runner.json("keys", "create", "taken name")["client"]["id"] != first


def test_an_unknown_client_is_named_and_a_pasted_key_is_not(runner: RelayRunner) -> None:
    assert "not-a-client" in runner.relay("keys", "show", "not-a-client").stderr
    key = runner.quiet("keys", "create", "pasted", "--quiet")
    done = runner.relay("keys", "revoke", key, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert key not in done.stderr
    assert runner.status(key) == 200


def test_a_revoked_client_has_no_key_and_no_plan_and_stays_revoked(runner: RelayRunner) -> None:
    made = runner.json("keys", "create", "gone", "--rps", "100")
    second = runner.quiet("keys", "rotate", "gone", "--quiet")
    assert {runner.status(made["key"]), runner.status(second)} == {200}
    runner.quiet("keys", "revoke", "gone", "--yes")
    assert {runner.status(made["key"]), runner.status(second)} <= {401, 403}
    assert made["client"]["plan_id"] not in runner.plan_ids()
    assert made["key_id"] not in runner.api_key_ids()
    left = runner.json("keys", "show", "gone")
    assert (left["keys"], bool(left["revoked_at"])) == ([], True)
    assert "revoked" in runner.relay("keys", "rotate", "gone").stderr
    assert "revoked" in runner.quiet("keys", "list")
    runner.quiet("keys", "revoke", "gone", "--yes")
    assert runner.json("keys", "show", "gone")["revoked_at"] == left["revoked_at"]


def test_the_stack_s_own_plan_outlives_its_clients(runner: RelayRunner) -> None:
    runner.quiet("keys", "create", "guest")
    runner.quiet("keys", "revoke", "guest", "--yes")
    assert runner.stack.template.ref("UsagePlan") in runner.plan_ids()
    assert runner.status(runner.stack.client_key) == 200


def test_one_key_is_revoked_and_with_the_last_one_the_client(runner: RelayRunner) -> None:
    first = runner.json("keys", "create", "one-by-one", "--rps", "100")
    second = runner.quiet("keys", "rotate", "one-by-one", "--quiet")
    ids = [key["key_id"] for key in runner.json("keys", "show", "one-by-one")["keys"]]
    runner.quiet("keys", "revoke", "--key", ids[0], "--yes")
    assert runner.status(first["key"]) == 401
    assert runner.status(second) == 200
    assert runner.json("keys", "show", "one-by-one")["revoked_at"] is None
    runner.quiet("keys", "revoke", "--key", ids[1], "--yes")
    assert runner.json("keys", "show", "one-by-one")["revoked_at"]
    assert first["client"]["plan_id"] not in runner.plan_ids()


@pytest.mark.parametrize(
    ("words", "status"), [((), 2), (("someone", "--key", "k"), 2), (("--key", "no-such-key"), 1)]
)
def test_an_ambiguous_revocation_is_refused(
    runner: RelayRunner, words: tuple[str, ...], status: int
) -> None:
    assert runner.relay("keys", "revoke", *words, "--yes").exit_code == status


@pytest.mark.parametrize(("said", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_revoking_requires_confirmation(runner: RelayRunner, said: str, status: int) -> None:
    key = runner.quiet("keys", "create", f"asked-{status}-{len(said)}", "--quiet")
    done = runner.relay("keys", "revoke", key.split("-")[2], given=said)
    assert done.exit_code == status
    assert "Revoke 1 key" in done.stderr
    assert (runner.status(key) == 200) == (status == 1)


def test_a_key_whose_overlap_has_ended_is_deleted_by_the_next_command(runner: RelayRunner) -> None:
    first = runner.json("keys", "create", "pruned")
    runner.quiet("keys", "rotate", "pruned", "--overlap", "0")
    done = runner.relay("keys", "list", "--json")
    assert first["key_id"] in done.stderr
    assert first["key_id"] not in runner.api_key_ids()
    (client,) = (each for each in json.loads(done.stdout) if each["name"] == "pruned")
    assert [key["serial"] for key in client["keys"]] == ["0002"]
    assert "Keys in their overlap" in runner.quiet("keys", "prune")


def test_a_second_rotation_never_extends_an_older_key(runner: RelayRunner) -> None:
    runner.quiet("keys", "create", "twice")
    runner.quiet("keys", "rotate", "twice", "--overlap", "1h")
    runner.quiet("keys", "rotate", "twice", "--overlap", "7d")
    keys = runner.item("twice")["keys"]["M"]
    ends: list[Any] = [keys[serial]["M"].get("dies_at", {}).get("N") for serial in sorted(keys)]
    assert 3500 < int(ends[0]) - time.time() <= 3600
    assert 604_700 < int(ends[1]) - time.time() <= 604_800
    assert ends[2] is None


@pytest.mark.parametrize("overlap", ["", "1", "24", "-1h", "1w", "h", "1.5h"])
def test_an_invalid_overlap_is_refused(runner: RelayRunner, overlap: str) -> None:
    assert runner.relay("keys", "rotate", "unused", "--overlap", overlap).exit_code == 2


def test_rotation_reports_when_the_other_keys_expire(runner: RelayRunner) -> None:
    first = runner.json("keys", "create", "rotation-shown")
    shown = runner.quiet("keys", "rotate", "rotation-shown", "--overlap", "2h")
    assert f"Key {first['key_id']} works until " in shown
    assert "300 s" in shown

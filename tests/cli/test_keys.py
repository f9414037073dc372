"""`relay keys`: clients come, are looked at, and go."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Office

KEY = re.compile(r"sk-relay-([0-9a-f]{12})-0001-[A-Za-z0-9]{40}")


def test_a_new_key_opens_the_door_at_once(office: Office) -> None:
    key = office.quiet("keys", "create", "opens", "--quiet")
    match = KEY.fullmatch(key)
    assert match
    assert office.json("keys", "show", match[1])["name"] == "opens"
    assert office.status(key) == 200


def test_for_people_a_new_key_is_shown_with_what_to_do_with_it(office: Office) -> None:
    shown = office.quiet("keys", "create", "shown")
    assert len(KEY.findall(shown)) == 1
    assert "OPENAI_API_KEY" in shown


def test_for_scripts_a_new_key_comes_with_its_client(office: Office) -> None:
    made = office.json("keys", "create", "scripted", "--budget-usd", "0.5", "--per", "day")
    assert KEY.fullmatch(made["key"])
    assert made["client"]["budget_usd"] == 0.5
    assert made["client"]["keys"][0]["key_id"] == made["key_id"]


def test_a_client_s_terms_are_in_its_profile(office: Office) -> None:
    limits = ("--max-output-tokens", "500", "--model", "a", "--model", "b/c:d")
    office.quiet("keys", "create", "terms", "--budget-usd", "12.345678901", *limits)
    item = office.item("terms")
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
        "plan_id": {"S": office.stack.template.ref("UsagePlan")},
    }


def test_what_is_not_limited_is_not_in_the_profile(office: Office) -> None:
    office.quiet("keys", "create", "free")
    absent = {"budget_nanos", "budget_per", "max_output_tokens", "models", "revoked_at"}
    assert not absent & {*office.item("free")}


def test_limits_of_its_own_make_a_plan_that_takes_the_rest_from_the_stack_s(office: Office) -> None:
    gateway, shared = office.stack.aws("apigateway"), office.stack.template.ref("UsagePlan")
    throttled = office.json("keys", "create", "throttled", "--rps", "2.5")["client"]
    counted = ("--quota", "7", "--quota-per", "week", "--rps", "3", "--burst", "4")
    counting = office.json("keys", "create", "counting", *counted)["client"]
    own, both, all_s = (
        gateway.get_usage_plan(usagePlanId=plan)
        for plan in (throttled["plan_id"], counting["plan_id"], shared)
    )
    assert own["throttle"] == {"rateLimit": 2.5, "burstLimit": 5}
    assert (own["quota"], own["apiStages"]) == (all_s["quota"], all_s["apiStages"])
    assert both["throttle"] == {"rateLimit": 3.0, "burstLimit": 4}
    assert both["quota"] == {"limit": 7, "period": "WEEK"}


def test_a_quota_of_its_own_is_enforced_by_the_local_stack(office: Office) -> None:
    key = office.quiet("keys", "create", "quota", "--quota", "1", "--quiet")
    assert [office.status(key) for _ in range(2)] == [200, 429]


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
def test_a_wish_without_sense_makes_nothing_and_ends_with_1(
    office: Office, wishes: tuple[str, ...]
) -> None:
    before = office.api_key_ids(), office.plan_ids(), len(office.items())
    done = office.relay("keys", "create", "nobody", *wishes)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error" in done.stderr
    assert before == (office.api_key_ids(), office.plan_ids(), len(office.items()))


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "0123456789ab", "sk-relay-x"])
def test_a_name_without_sense_is_refused(office: Office, name: str) -> None:
    assert office.relay("keys", "create", name).exit_code == 1


def test_a_client_that_cannot_be_written_down_leaves_no_key_and_no_plan(
    changed_note: Callable[..., Office], office: Office
) -> None:
    resources = {**office.stack.template.physical_ids, "ClientsTable": "no-such-table"}
    before = office.api_key_ids(), office.plan_ids()
    done = changed_note(resources=resources).relay("keys", "create", "lost", "--rps", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "PutItem" in done.stderr or "Scan" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == (office.api_key_ids(), office.plan_ids())


def test_clients_are_listed_with_the_ids_of_their_keys(office: Office) -> None:
    made = office.json("keys", "create", "[bold]listed[/]", "--budget-usd", "3", "--model", "m")
    found = {client["id"]: client for client in office.json("keys", "list")}
    assert found[made["client"]["id"]] == made["client"]
    shown = office.quiet("keys", "list")
    for word in ("[bold]listed[/]", made["key_id"], "$3 per month"):
        assert word in shown


def test_a_client_is_shown_with_what_its_plan_allows(office: Office) -> None:
    office.quiet("keys", "create", "looked-at", "--rps", "2", "--max-output-tokens", "1000")
    shown = office.quiet("keys", "show", "looked-at")
    for words in (
        "2 per second, 4 at once",
        "100,000 requests per day",
        "Max output tokens  1,000",
    ):
        assert words in shown


def test_a_name_that_two_clients_have_is_asked_about(office: Office) -> None:
    ids = {office.json("keys", "create", "twin")["client"]["id"] for _ in range(2)}
    done = office.relay("keys", "show", "twin")
    assert done.exit_code == 1
    assert ids == {*re.findall(r"\b[0-9a-f]{12}\b", done.stderr)}
    office.quiet("keys", "revoke", ids.pop(), "--yes")
    assert office.json("keys", "show", "twin")["id"] == ids.pop()


def test_a_client_that_is_not_there_is_named_and_a_pasted_key_is_not(office: Office) -> None:
    assert "nobody-at-all" in office.relay("keys", "show", "nobody-at-all").stderr
    key = office.quiet("keys", "create", "pasted", "--quiet")
    done = office.relay("keys", "revoke", key, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert key not in done.stderr
    assert office.status(key) == 200


def test_a_revoked_client_has_no_key_no_plan_and_no_way_back(office: Office) -> None:
    made = office.json("keys", "create", "gone", "--rps", "100")
    second = office.quiet("keys", "rotate", "gone", "--quiet")
    assert {office.status(made["key"]), office.status(second)} == {200}
    office.quiet("keys", "revoke", "gone", "--yes")
    assert {office.status(made["key"]), office.status(second)} <= {401, 403}
    assert made["client"]["plan_id"] not in office.plan_ids()
    assert made["key_id"] not in office.api_key_ids()
    left = office.json("keys", "show", "gone")
    assert (left["keys"], bool(left["revoked_at"])) == ([], True)
    assert "revoked" in office.relay("keys", "rotate", "gone").stderr
    assert "revoked" in office.quiet("keys", "list")
    office.quiet("keys", "revoke", "gone", "--yes")
    assert office.json("keys", "show", "gone")["revoked_at"] == left["revoked_at"]


def test_the_stack_s_own_plan_outlives_its_clients(office: Office) -> None:
    office.quiet("keys", "create", "guest")
    office.quiet("keys", "revoke", "guest", "--yes")
    assert office.stack.template.ref("UsagePlan") in office.plan_ids()
    assert office.status(office.stack.client_key) == 200


def test_one_key_is_revoked_and_with_the_last_one_the_client(office: Office) -> None:
    first = office.json("keys", "create", "one-by-one", "--rps", "100")
    second = office.quiet("keys", "rotate", "one-by-one", "--quiet")
    ids = [key["key_id"] for key in office.json("keys", "show", "one-by-one")["keys"]]
    office.quiet("keys", "revoke", "--key", ids[0], "--yes")
    assert office.status(first["key"]) == 401
    assert office.status(second) == 200
    assert office.json("keys", "show", "one-by-one")["revoked_at"] is None
    office.quiet("keys", "revoke", "--key", ids[1], "--yes")
    assert office.json("keys", "show", "one-by-one")["revoked_at"]
    assert first["client"]["plan_id"] not in office.plan_ids()


@pytest.mark.parametrize("words", [(), ("someone", "--key", "k"), ("--key", "no-such-key")])
def test_what_to_revoke_must_be_clear(office: Office, words: tuple[str, ...]) -> None:
    assert office.relay("keys", "revoke", *words, "--yes").exit_code == 1


@pytest.mark.parametrize(("said", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_revoking_asks_first(office: Office, said: str, status: int) -> None:
    key = office.quiet("keys", "create", f"asked-{status}-{len(said)}", "--quiet")
    done = office.relay("keys", "revoke", key.split("-")[2], given=said)
    assert done.exit_code == status
    assert "Revoke 1 key" in done.stderr
    assert (office.status(key) == 200) == (status == 1)


def test_a_key_whose_overlap_has_ended_is_deleted_by_the_next_command(office: Office) -> None:
    first = office.json("keys", "create", "pruned")
    office.quiet("keys", "rotate", "pruned", "--overlap", "0")
    done = office.relay("keys", "list", "--json")
    assert first["key_id"] in done.stderr
    assert first["key_id"] not in office.api_key_ids()
    (client,) = (each for each in json.loads(done.stdout) if each["name"] == "pruned")
    assert [key["serial"] for key in client["keys"]] == ["0002"]
    assert "Keys in their overlap" in office.quiet("keys", "prune")


def test_a_second_rotation_never_lengthens_the_life_of_an_older_key(office: Office) -> None:
    office.quiet("keys", "create", "twice")
    office.quiet("keys", "rotate", "twice", "--overlap", "1h")
    office.quiet("keys", "rotate", "twice", "--overlap", "7d")
    keys = office.item("twice")["keys"]["M"]
    ends: list[Any] = [keys[serial]["M"].get("dies_at", {}).get("N") for serial in sorted(keys)]
    assert 3500 < int(ends[0]) - time.time() <= 3600
    assert 604_700 < int(ends[1]) - time.time() <= 604_800
    assert ends[2] is None


@pytest.mark.parametrize("overlap", ["", "1", "24", "-1h", "1w", "h", "1.5h"])
def test_an_overlap_without_sense_is_refused(office: Office, overlap: str) -> None:
    assert office.relay("keys", "rotate", "whoever", "--overlap", overlap).exit_code == 1


def test_rotating_tells_when_the_other_keys_die(office: Office) -> None:
    first = office.json("keys", "create", "told")
    shown = office.quiet("keys", "rotate", "told", "--overlap", "2h")
    assert f"Key {first['key_id']} works until " in shown
    assert "300 s" in shown

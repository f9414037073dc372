"""Ids that are guessed, stolen or no ids find what ids that never were find: nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.batches.handler import handler as batches
from functions.files.handler import handler as files
from functions.models.handler import handler as models
from llm_relay.batch.model import names
from tests.functions.conftest import Context, proxy_event, taken
from tests.support.payloads import INPUT, RESPONSE
from tests.support.scripted_provider import ScriptedProvider, whole

if TYPE_CHECKING:
    from tests.functions.conftest import Answered
    from tests.support.batch_api import BatchApi
    from tests.support.batch_environment import BatchAws
    from tests.support.job_environment import JobWorld

ROW = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'
OURS, THEIRS = "key-1", "key-2"
NO_IDS = [
    *("..", ".", "../", "../../batches", "..\\..\\batches", "/etc/passwd", "file:///etc/passwd"),
    *("..%2f..%2fbatches", "%2e%2e%2f%2e%2e", "%252e%252e%252f", "%c0%ae%c0%ae/", "..%00", "%00"),
    *("\0", "a\0b", "a\r\nSet-Cookie: a=b", "a\n", "%0d%0aX-Evil:%201", " ", "\u00a0", "\u2028"),
    *("файл", "\u202efile", "file\u200b-1", "ﬁle-1", "．．／", "\ufeff", "💥", "e\u0301"),
    *("'", '"', "' OR '1'='1", "1; DROP TABLE files", "*", "%", "_", "?", "#", "{id}", "{}", "[]"),
    *("key-2", "files#key-2", "batches#key-2", "client#0123456789ab", "profile", "operator"),
    *(
        "key-2/file-1",
        "files/key-2/file-1",
        "null",
        "None",
        "undefined",
        "true",
        "0",
        "-1",
        "1e999",
    ),
    *("$(id)", "`id`", "{{7*7}}", "${7*7}", "<script>alert(1)</script>", "x" * 129, "x" * 8_000),
]
FILE_ROUTES = [
    (files, "GET", "/v1/files/{id}"),
    (files, "DELETE", "/v1/files/{id}"),
    (files, "GET", "/v1/files/{id}/content"),
]
BATCH_ROUTES = [
    (batches, "GET", "/v1/batches/{id}"),
    (batches, "POST", "/v1/batches/{id}/cancel"),
]
ROUTES = FILE_ROUTES + BATCH_ROUTES
NEVER_WAS = {"file": names.new_id("file-", "never"), "batch": names.new_id("batch_", "never")}
PATH = "/v1/responses"


def called(route: Any, path_id: str, key: str = OURS) -> Answered:
    handler, method, path = route
    event = proxy_event(method, path, pathParameters={"id": path_id})
    event["requestContext"]["identity"]["apiKeyId"] = key
    return taken(handler(event, Context(60, time.monotonic())))


def seen(answer: Answered, found_by: str) -> tuple[int, bytes, set[str]]:
    """All that an answer tells, but for the id that it was found by."""
    plain = answer.body.replace(json.dumps(found_by)[1:-1].encode(), b"ID")
    return answer.status, plain, {*answer.headers}


def name_of(route: Any) -> str:
    return " ".join(route[1:])


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_a_malformed_id_finds_nothing(route: Any, batch_aws: BatchAws) -> None:
    batch_aws.environment.setenv("STATE_MACHINE_ARN", "never-called")
    for path_id in NO_IDS:
        answer = called(route, path_id)
        assert answer.status == 404, path_id
        assert answer.error.keys() == {"message", "type", "param", "code"}
        assert answer.error["type"] == "invalid_request_error"
        assert "location" not in answer.headers
        assert all(value.isprintable() for value in answer.headers.values())
    assert batch_aws.items() == []


@pytest.mark.parametrize("route", FILE_ROUTES, ids=name_of)
def test_another_client_s_file_looks_like_a_missing_one(api: BatchApi, route: Any) -> None:
    theirs = api.client(THEIRS).files.create(file=("secret.jsonl", ROW), purpose="batch").id
    never = seen(called(route, NEVER_WAS["file"]), NEVER_WAS["file"])
    assert seen(called(route, theirs), theirs) == never
    assert never[0] == 404
    assert called(FILE_ROUTES[0], theirs, THEIRS).status == 200


@pytest.mark.parametrize("suffix", ["-output", "-errors"])
@pytest.mark.parametrize("route", FILE_ROUTES, ids=name_of)
def test_results_of_another_client_s_batch_look_missing(
    batch_aws: BatchAws, route: Any, suffix: str
) -> None:
    batch = batch_aws.add_batch(ROW, owner=THEIRS)
    guessed = names.result_file_id(batch.id, suffix.removeprefix("-"))
    never = NEVER_WAS["file"] + suffix
    assert seen(called(route, guessed), guessed) == seen(called(route, never), never)


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=name_of)
def test_another_client_s_batch_looks_like_a_missing_one(
    batch_aws: BatchAws, state_machine: str, route: Any
) -> None:
    theirs = batch_aws.add_batch(ROW, owner=THEIRS).id
    never = seen(called(route, NEVER_WAS["batch"]), NEVER_WAS["batch"])
    assert seen(called(route, theirs), theirs) == never
    assert never[0] == 404
    kept = batch_aws.store.batch(THEIRS, theirs)
    assert kept is not None
    assert kept.status == "validating"


def test_another_client_s_file_cannot_be_a_batch_input(
    api: BatchApi, batch_aws: BatchAws, state_machine: str
) -> None:
    theirs = api.client(THEIRS).files.create(file=("secret.jsonl", ROW), purpose="batch").id

    def create(file_id: str) -> tuple[int, bytes, set[str]]:
        wanted = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        event = proxy_event("POST", "/v1/batches", wanted | {"input_file_id": file_id})
        event["requestContext"]["identity"]["apiKeyId"] = OURS
        return seen(taken(batches(event, Context(60, time.monotonic()))), file_id)

    assert create(theirs) == create(NEVER_WAS["file"])
    assert not batch_aws.store.batches(OURS, None, 10)


@pytest.mark.parametrize("kind", ["files", "batches"])
def test_a_list_does_not_continue_after_another_client_s_entry(
    api: BatchApi, batch_aws: BatchAws, state_machine: str, kind: str
) -> None:
    theirs = {
        "files": api.client(THEIRS).files.create(file=("f", ROW), purpose="batch").id,
        "batches": batch_aws.add_batch(ROW, owner=THEIRS).id,
    }[kind]
    never = NEVER_WAS["file" if kind == "files" else "batch"]
    answers = [api.ask("GET", f"/{kind}?after={each}") for each in (theirs, never)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content.replace(theirs.encode(), never.encode()) == answers[1].content
    assert theirs not in api.ask("GET", f"/{kind}?limit=100").text


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_another_client_s_response_looks_like_a_missing_one(
    job_world: JobWorld, method: str
) -> None:
    theirs = queued(job_world)
    never = names.new_id("resp_", "never")
    answers = [seen(answer_to(job_world, method, each), each) for each in (theirs, never)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert job_world.ask("GET", f"{PATH}/{theirs}").json()["status"] == "queued"


def test_a_malformed_id_finds_no_response(job_world: JobWorld) -> None:
    for path_id in NO_IDS:
        for method in ("GET", "DELETE", "POST"):
            answer = answer_to(job_world, method, path_id)
            assert (answer.status, answer.error["code"]) == (404, "response_not_found"), path_id
    assert job_world.receive() == []


def test_a_malformed_model_id_finds_nothing_without_a_call(provider: ScriptedProvider) -> None:
    provider.scripts = [whole(200, {"object": "list", "data": [{"id": "a", "object": "model"}]})]
    for path_id in NO_IDS:
        answer = called((models, "GET", "/v1/models/{id}"), path_id)
        assert (answer.status, answer.error["code"]) == (404, "model_not_found"), path_id
        assert len(answer.body) < 1_000
    assert {each.path for each in provider.requests} == {"/v1/models"}


def queued(world: JobWorld) -> str:
    world.provider.scripts = [whole(200, RESPONSE)]
    made: str = world.ask("POST", PATH, INPUT | {"background": True}).json()["id"]
    return made


def answer_to(world: JobWorld, method: str, response_id: str) -> Answered:
    """Ask for a response with a key that is not its owner's."""
    from functions.background_responses.handler import handler  # noqa: PLC0415

    path = f"{PATH}/{{id}}" + ("/cancel" if method == "POST" else "")
    event = proxy_event(method, path, pathParameters={"id": response_id})
    event["requestContext"]["identity"]["apiKeyId"] = THEIRS
    return taken(handler(event, Context(60, time.monotonic())))

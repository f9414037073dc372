"""Sample events are real: each is one that the function it lies with would get."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.template import stack as template
from tests.template.stack import ROOT, Stack, logical_id

EVENTS = ROOT / "events"
CASES = sorted(EVENTS.glob("*/*.json"))
RESOURCES = template.read(ROOT / "template.yaml")["Resources"]
ROUTED = {
    name
    for name, resource in RESOURCES.items()
    for event in resource.get("Properties", {}).get("Events", {}).values()
    if event["Type"] == "Api"
}
PROXY_CASES = [case for case in CASES if logical_id(case.parent.name) in ROUTED]
CLIENT_KEY = "sk-relay-local-000000000000000000000000"
SURFACES = {"chat": "chat_completions", "responses": "responses"}


def name(path: Path) -> str:
    return str(path.relative_to(EVENTS))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


VECTORS = read(EVENTS / "vectors.json")
ERRORS = read(EVENTS / "errors.json")


@pytest.mark.parametrize("path", PROXY_CASES, ids=name)
def test_a_proxy_event_is_on_a_route_of_its_own_function(stack: Stack, path: Path) -> None:
    event = read(path)
    routes = {(r.method, r.path): r.function for r in stack.routes}
    assert routes[event["httpMethod"], event["resource"]] == logical_id(path.parent.name)
    assert event["requestContext"]["resourcePath"] == event["resource"]
    assert event["requestContext"]["httpMethod"] == event["httpMethod"]


def test_every_route_has_a_sample_event(stack: Stack) -> None:
    events = [read(path) for path in PROXY_CASES]
    tried = {(event["httpMethod"], event["resource"]) for event in events}
    assert tried == {(route.method, route.path) for route in stack.routes}


@pytest.mark.parametrize("path", PROXY_CASES, ids=name)
def test_a_proxy_event_is_consistent(path: Path) -> None:
    event = read(path)
    given = event["pathParameters"] or {}
    filled = re.sub(r"\{(\w+)\+?\}", lambda slot: given[slot[1]], event["resource"])
    assert event["path"] == filled
    assert event["requestContext"]["path"] == f"/{event['requestContext']['stage']}{filled}"
    assert event["multiValueHeaders"] == {k: [v] for k, v in event["headers"].items()}
    assert isinstance(event["body"], str) is (event["httpMethod"] == "POST")


@pytest.mark.parametrize("path", PROXY_CASES, ids=name)
def test_a_body_is_encoded_where_the_api_treats_it_as_binary(path: Path) -> None:
    event = read(path)
    listed = RESOURCES["Api"]["Properties"]["BinaryMediaTypes"]
    kind = event["headers"].get("Content-Type", "").partition(";")[0]
    assert event["isBase64Encoded"] is (kind.replace("/", "~1") in listed)


@pytest.mark.parametrize("path", CASES, ids=name)
def test_an_event_holds_no_key_but_the_placeholder(path: Path) -> None:
    text = path.read_text()
    assert "ak_" not in text
    assert text.count("sk-") == text.count(CLIENT_KEY)


def test_the_authorizer_gets_token_events() -> None:
    events = [read(p) for p in CASES if p.parent.name == "authorizer"]
    assert events
    assert {frozenset(e) for e in events} == {
        frozenset({"type", "methodArn", "authorizationToken"})
    }
    assert {e["type"] for e in events} == {"TOKEN"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_a_vector_sends_the_event_of_its_row(vector: dict[str, Any]) -> None:
    path = EVENTS / vector["event"]
    body = json.loads(read(path)["body"])
    assert path.parent.name == SURFACES[vector["surface"]]
    assert body["stream"] is vector["stream"]
    assert body["temperature"] == 0.2
    assert vector["expect"]["contains"]
    assert vector["source"]


def test_each_endpoint_is_tested_buffered_and_streamed() -> None:
    tried = {(v["surface"], v["stream"]) for v in VECTORS}
    assert tried == {(surface, stream) for surface in SURFACES for stream in (False, True)}


@pytest.mark.parametrize("row", ERRORS, ids=lambda r: r["name"])
def test_an_error_row_says_which_event_fails_where_and_how(row: dict[str, Any]) -> None:
    assert (EVENTS / row["event"]).is_file()
    assert row["event"].split("/")[0] == row["function"]
    assert 400 <= row["expect"]["status"] < 600
    assert row["expect"].keys() == {"status", "code", "param"}


def test_row_names_are_unique() -> None:
    names = [row["name"] for row in (*VECTORS, *ERRORS)]
    assert len(names) == len(set(names))

"""No request, however it is made up, gets more or other than what docs/openapi.yaml says."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation

from local.vectors import EVENTS
from tests.fuzz.conftest import SECONDS
from tests.fuzz.tally import TRIED
from tests.template.stack import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.conftest import Target

checks.load_all_checks()
HELD: list[Any] = [
    checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
DOCUMENT: Any = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")
OPERATIONS = {each.ok().label: each.ok() for each in DOCUMENT.get_all_operations()}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
FEW = settings(max_examples=max(1, settings().max_examples // 4))


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_matches_the_openapi_document(label: str, target: Target) -> None:
    operation = OPERATIONS[label]
    made = [operation.as_strategy(generation_mode=mode) for mode in MODES]
    known = known_id(label, target)

    @FEW
    @given(case=st.one_of(made), is_known=st.booleans())
    def hold(case: Any, is_known: bool) -> None:
        if known and is_known:
            case.path_parameters["id"] = known
        ask(case, target)

    before = len(target.failures())
    hold()
    assert target.failures()[before:] == []


SAMPLES = sorted(path for path in EVENTS.glob("*/*.json") if "httpMethod" in path.read_text())


def test_answers_to_sample_events_match_the_openapi_document(target: Target) -> None:
    assert len(SAMPLES) > 40
    with ThreadPoolExecutor(8) as pool:  # some wait until the provider is less busy
        failures = pool.map(lambda sample: failure_of(sample, target), SAMPLES)
    assert [said for said in failures if said] == []


def failure_of(sample: Path, target: Target) -> str:
    """What is wrong with the answer to a sample event; nothing if it is as written."""
    event = json.loads(sample.read_text())
    text = event["body"] or ""
    kind = event["headers"].get("Content-Type", "application/json")
    answer = requests.request(
        event["httpMethod"],
        f"{target.stack.base_url}{event['path']}",
        params=event["queryStringParameters"],
        data=base64.b64decode(text) if event["isBase64Encoded"] else text.encode(),
        headers={"Content-Type": kind, "Authorization": f"Bearer {target.stack.client_key}"},
        timeout=SECONDS,
        allow_redirects=False,
    )
    operation = OPERATIONS[f"{event['httpMethod']} {event['resource'].replace('+}', '}')}"]
    try:
        operation.validate_response(answer)
    except (Failure, FailureGroup) as failure:
        return f"{sample.parent.name}/{sample.name}: {failure}"
    return ""


def known_id(label: str, target: Target) -> str | None:
    """An id that there is something of, for an operation that wants one."""
    if "{id}" not in label:
        return None
    made = {"responses": target.new_response, "files": target.new_file, "batches": target.new_batch}
    return next((make() for kind, make in made.items() if f"/v1/{kind}/" in label), None)


def ask(case: Any, target: Target) -> None:
    """Ask, and hold the answer against the document; what is refused was never paid for."""
    TRIED["requests"] += 1
    paid = target.paid
    headers = {"Authorization": f"Bearer {target.stack.client_key}"}
    answer = case.call(
        target.stack.base_url,
        target.session,
        headers,
        timeout=SECONDS,
        allow_redirects=False,
    )
    case.validate_response(answer, HELD)
    assert answer.status_code >= 400 or not is_spoilt(case), case.as_curl_command()
    if is_refused_by_us(answer):
        assert target.paid == paid, case.as_curl_command()
    elif is_queued(answer):
        target.ended(answer.json())


def is_spoilt(case: Any) -> bool:
    """Whether the body is none that the document allows; anything may stand beside it."""
    body = case.meta and case.meta.components.get(ParameterLocation.BODY)
    return bool(body and body.mode.is_negative)


def is_refused_by_us(answer: Any) -> bool:
    attempts: str = answer.headers.get("x-relay-attempts", "0")
    return answer.status_code >= 400 and attempts == "0"


def is_queued(answer: Any) -> bool:
    kind: str = answer.headers.get("content-type", "")
    return kind == "application/json" and answer.json().get("status") == "queued"

"""GET /openapi.json, and whether what it says is so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from functions.openapi.handler import DOCUMENT, handler
from llm_relay.core import errors
from local.provider_simulator.wire import ProviderError
from tests.template.stack import ROOT, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED = json.loads(handler({}, None)["body"])
STACK = translate(ROOT / "template.yaml")
METHODS = {"get", "post", "delete", "put", "patch"}
GATEWAY = STACK.api["x-amazon-apigateway-gateway-responses"]
OURS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RelayError) and kind.code
]
Json = dict[str, Any]


def resolved(value: Json) -> Json:
    """What a reference stands for, with what is written beside it."""
    target: Any = SERVED
    for name in value.get("$ref", "#").split("/")[1:]:
        target = target[name]
    return {**target, **value} if "$ref" in value else value


def described() -> Iterator[tuple[str, Json, Json]]:
    """Every answer of every operation: its status, itself, and the operation."""
    for methods in SERVED["paths"].values():
        for method in METHODS & methods.keys():
            for status, answer in methods[method]["responses"].items():
                yield status, resolved(answer), methods[method]


def codes_in(value: Any) -> set[str]:
    """The codes of our errors that an answer may have."""
    if isinstance(value, list):
        return {code for each in value for code in codes_in(each)}
    if not isinstance(value, dict):
        return set()
    own = value.get("code")
    listed = set(own["enum"]) if isinstance(own, dict) and "enum" in own else set()
    return listed | codes_in(list(value.values()))


def sent() -> set[tuple[str, str]]:
    return {(status, code) for status, answer, _ in described() for code in codes_in(answer)}


def test_the_served_document_is_that_of_the_docs() -> None:
    kept = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    assert kept == SERVED, "renew it with: make openapi"
    assert DOCUMENT.name in (ROOT / "functions" / "Makefile").read_text()


def test_the_documented_routes_are_those_of_the_template() -> None:
    written = {
        (method, path)
        for path, methods in SERVED["paths"].items()
        for method in METHODS & methods.keys()
    }
    deployed = {(route.method.lower(), route.path.replace("+}", "}")) for route in STACK.routes}
    assert written == deployed


def test_a_route_requires_a_key_where_the_template_does() -> None:
    for route in STACK.routes:
        operation = SERVED["paths"][route.path.replace("+}", "}")][route.method.lower()]
        is_open = operation.get("security", SERVED["security"]) == []
        assert is_open == (route.definition["security"] == []), route.path


def test_every_own_error_is_documented_with_its_status_and_no_other() -> None:
    ours = {(str(int(kind.status)), kind.code) for kind in OURS}
    assert ours == {(status, code) for status, code in sent() if code not in of_the_gateway()}


def test_every_error_of_api_gateway_is_documented_and_no_other() -> None:
    for kind, answer in GATEWAY.items():
        code = code_of(answer)
        statuses = {status for status, known in sent() if known == code}
        assert answer.get("statusCode", kind.removeprefix("DEFAULT_")) in statuses, kind


def lists_in(value: Any) -> Iterator[Json]:
    """Every schema of an array."""
    if isinstance(value, dict) and value.get("type") == "array":
        yield value
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from lists_in(each)


def test_every_array_schema_has_items() -> None:
    found = list(lists_in(SERVED))
    assert found
    assert [each for each in found if "items" not in each] == []


def test_an_empty_metadata_key_is_invalid() -> None:
    batch = {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h"}
    assert schema("BatchRequest").is_valid(batch | {"metadata": {"a": "x"}})
    assert not schema("BatchRequest").is_valid(batch | {"metadata": {"": "x"}})


def of_the_gateway() -> set[str]:
    return {code_of(answer) for answer in GATEWAY.values()}


def code_of(answer: Json) -> str:
    (template,) = answer["responseTemplates"].values()
    return str(json.loads(template.replace("$context.error.messageString", '""'))["error"]["code"])


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": SERVED["components"]}
    )


@pytest.mark.parametrize("kind", GATEWAY)
def test_error_bodies_of_api_gateway_match_the_schema(kind: str) -> None:
    (template,) = GATEWAY[kind]["responseTemplates"].values()
    schema("Error").validate(json.loads(template.replace("$context.error.messageString", '"no"')))


def test_own_errors_and_the_provider_s_match_the_schema() -> None:
    for kind in OURS:
        schema("Error").validate(kind("No.", param="model").body())
    refused = errors.ProviderError(400, ProviderError(400, "No.").body()["error"], {})
    schema("ProviderError").validate(refused.body())


def test_every_header_of_the_relay_is_described() -> None:
    sources = (ROOT / "layers" / "llm_relay").rglob("*.py")
    ours = {
        name for path in sources for name in re.findall(r'"(x-relay-[a-z-]+)"', path.read_text())
    }
    named = {name for _, answer, _ in described() for name in answer.get("headers", {})}
    assert ours
    assert ours - named == set()


def test_every_refusal_has_the_header_to_find_it_in_the_log() -> None:
    locked = [a for _, a, operation in described() if operation.get("security") != []]
    assert locked
    assert [answer for answer in locked if "x-request-id" not in answer["headers"]] == []

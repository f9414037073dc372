"""Versions of the relay functions, their snapshots, and the alias that is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.stack import Json, Stack

RELAYS = {"ChatCompletionsFunction", "ResponsesFunction"}
LONGEST_DESCRIPTION = 256
SUBSTITUTED = re.compile(r"\$\{(\w+)}")


def names_in(value: Any) -> Iterator[str]:
    """Find what a value refers to: parameters, resources and conditions."""
    if isinstance(value, list):
        for item in value:
            yield from names_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in {"Ref", "Condition"} and isinstance(item, str):
                yield item
            elif key == "Fn::Sub":
                yield from SUBSTITUTED.findall(item if isinstance(item, str) else item[0])
                yield from names_in(item[1:] if isinstance(item, list) else [])
            elif key == "Fn::If":
                yield item[0]
                yield from names_in(item[1:])
            else:
                yield from names_in(item)


def parameters_in(stack: Stack, value: Any) -> set[str]:
    """Find the parameters that a value depends on, conditions included."""
    names = set(names_in(value))
    conditions = stack.translated["Conditions"]
    through = [parameters_in(stack, conditions[name]) for name in names & set(conditions)]
    return (names & set(stack.translated["Parameters"])).union(*through)


def versions(stack: Stack) -> dict[str, Json]:
    found = stack.of_type("AWS::Lambda::Version").values()
    return {version["FunctionName"]["Ref"]: version for version in found}


def test_the_relay_functions_have_versions_and_api_gateway_calls_their_alias(stack: Stack) -> None:
    assert set(versions(stack)) == RELAYS
    called = [route.integration["uri"]["Fn::Sub"] for route in stack.routes]
    assert {name for name in RELAYS if not any(f"{name}Aliaslive}}" in c for c in called)} == set()
    assert [c for c in called for name in RELAYS if f"{{{name}.Arn}}" in c] == []


def test_api_gateway_may_call_the_alias(stack: Stack) -> None:
    allowed = [p["FunctionName"] for p in stack.of_type("AWS::Lambda::Permission").values()]
    assert {name for name in RELAYS if {"Ref": f"{name}Aliaslive"} not in allowed} == set()


def test_every_parameter_that_changes_a_function_changes_the_description_of_its_version(
    stack: Stack,
) -> None:
    # CloudFormation replaces a version when its description changes, and SAM looks at no values.
    for name, version in versions(stack).items():
        described = parameters_in(stack, version["Description"])
        assert described == parameters_in(stack, stack.functions[name])


def test_the_longest_description_of_a_version_fits_lambda_s_limit(stack: Stack) -> None:
    parameters = stack.translated["Parameters"]
    (text, _), *_ = (version["Description"]["Fn::Sub"] for version in versions(stack).values())
    longest = {
        name: p.get("MaxLength")
        or max(map(len, map(str, p.get("AllowedValues", [p.get("MaxValue")]))))
        for name, p in parameters.items()
    }
    shortest_of_an_arn = len("arn:aws:secretsmanager:us-east-1:123456789012:secret:")
    longest["Where"] = longest["UpstreamBaseUrl"]  # or a random word at the end of a name
    longest["Secret"] = longest["ProviderKeySecretArn"] - shortest_of_an_arn
    assert len(SUBSTITUTED.sub(lambda found: "x" * longest[found[1]], text)) <= LONGEST_DESCRIPTION


def test_a_new_layer_creates_a_new_version(stack: Stack) -> None:
    layers = [
        resource["Properties"]
        for resource in stack.written["Resources"].values()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    ]
    assert [layer for layer in layers if not layer["PublishLambdaVersion"]] == []


def test_snapshots_are_taken_only_on_request(stack: Stack) -> None:
    taken = {n: f["SnapStart"] for n, f in stack.functions.items() if "SnapStart" in f}
    wanted = {"ApplyOn": {"Fn::If": ["StartsFromSnapshot", "PublishedVersions", "None"]}}
    assert taken == dict.fromkeys(RELAYS, wanted)
    assert stack.translated["Parameters"]["SnapStart"]["Default"] == "off"


def test_old_versions_are_deleted(stack: Stack) -> None:
    resources = stack.translated["Resources"].values()
    kept = [r.get("DeletionPolicy") for r in resources if r["Type"] == "AWS::Lambda::Version"]
    assert set(kept) == {"Delete"}

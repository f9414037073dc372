"""One name, learned once, leads to a function's folder, resource, events and tests."""

import json
import tomllib
from typing import Any

import pytest

from tests.template.stack import ROOT, Stack, logical_id

HARD_CODED = {"FunctionName", "RoleName", "BucketName", "LogGroupName", "TableName", "QueueName"}


def folders(path: str) -> set[str]:
    return {p.name for p in (ROOT / path).iterdir() if p.is_dir() and p.name != "__pycache__"}


@pytest.fixture(scope="module")
def samconfig() -> dict[str, Any]:
    return tomllib.loads((ROOT / "samconfig.toml").read_text())


def test_a_folder_of_functions_is_a_function_of_the_template(stack: Stack) -> None:
    written = {
        name: resource["Properties"]["CodeUri"]
        for name, resource in stack.written["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert written == {logical_id(f): f"functions/{f}/" for f in folders("functions")}


def test_every_function_has_sample_events() -> None:
    assert folders("events") == folders("functions")


def test_every_function_has_a_test_module_of_its_name() -> None:
    modules = {p.name for p in (ROOT / "tests" / "functions").glob("test_*.py")}
    assert {f"test_{f}.py" for f in folders("functions")} - modules == set()


def test_a_function_is_one_module() -> None:
    sources = [p for p in (ROOT / "functions").rglob("*.py") if p.name != "handler.py"]
    assert sources == []


def test_the_first_output_is_the_openai_base_url(stack: Stack) -> None:
    name, output = next(iter(stack.written["Outputs"].items()))
    assert name == "OpenAIBaseUrl"
    assert output["Value"]["Fn::Sub"].endswith("/v1")


def test_every_parameter_is_described_and_has_a_default(stack: Stack) -> None:
    parameters = stack.translated["Parameters"].items()
    assert [n for n, p in parameters if not p.get("Description") or "Default" not in p] == []


def test_every_output_and_function_is_described(stack: Stack) -> None:
    described = {**stack.translated["Outputs"], **stack.functions}
    assert [name for name, value in described.items() if not value.get("Description")] == []


def test_no_resource_has_a_fixed_name(stack: Stack) -> None:
    resources = stack.translated["Resources"].items()
    literal = [
        (name, key)
        for name, resource in resources
        for key, value in resource.get("Properties", {}).items()
        if key in HARD_CODED and isinstance(value, str)
    ]
    assert literal == []


def test_own_code_and_third_party_code_are_two_layers(stack: Stack) -> None:
    layers = {
        name: (r["Properties"]["ContentUri"], r["Metadata"]["BuildMethod"])
        for name, r in stack.written["Resources"].items()
        if r["Type"] == "AWS::Serverless::LayerVersion"
    }
    assert layers == {
        "DependenciesLayer": ("layers/dependencies/", "makefile"),
        "LlmRelayLayer": ("layers/llm_relay/", "makefile"),
    }


def test_every_function_is_built_by_the_makefile_that_makes_byte_code(stack: Stack) -> None:
    built = [
        resource.get("Metadata")
        for resource in stack.written["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    assert built
    assert all(m == {"BuildMethod": "makefile", "ContextPath": "functions/"} for m in built)


def test_sam_deploy_needs_no_flag(samconfig: dict[str, Any]) -> None:
    for environment in ("default", "prod"):
        parameters = samconfig[environment]["deploy"]["parameters"]
        assert samconfig[environment]["global"]["parameters"]["stack_name"].startswith("llm-relay")
        assert parameters["resolve_s3"] is True
        assert parameters["capabilities"] == "CAPABILITY_IAM"
        assert parameters["fail_on_empty_changeset"] is False


def test_sam_deploy_confirms_by_default_and_not_in_production(samconfig: dict[str, Any]) -> None:
    asks = {
        e: samconfig[e]["deploy"]["parameters"]["confirm_changeset"] for e in ("default", "prod")
    }
    assert asks == {"default": True, "prod": False}


def test_sam_validate_lints_and_sam_build_is_quick(samconfig: dict[str, Any]) -> None:
    assert samconfig["default"]["validate"]["parameters"]["lint"] is True
    assert samconfig["default"]["build"]["parameters"] == {"cached": True, "parallel": True}


def test_samconfig_names_one_parameter_of_a_deployment_and_no_key(
    samconfig: dict[str, Any],
) -> None:
    deployments = [samconfig[name]["deploy"]["parameters"] for name in ("default", "prod")]
    assert [d.pop("parameter_overrides") for d in deployments] == ["Architecture=arm64"] * 2
    assert "parameter_overrides" not in json.dumps(samconfig)

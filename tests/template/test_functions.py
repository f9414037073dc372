"""What every function has, and what none may have, in the translated template."""

import json
from typing import Any

from tests.template.stack import Stack

# SAM gives these two to every function that logs and is traced.
MANAGED_BY_AWS = {
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_logs_to_a_group_of_its_own(stack: Stack) -> None:
    groups = [f["LoggingConfig"]["LogGroup"]["Ref"] for f in stack.functions.values()]
    assert sorted(groups) == sorted(set(groups))
    assert set(groups) == set(stack.of_type("AWS::Logs::LogGroup"))


def test_every_log_group_has_a_retention_period(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert {n: g for n, g in groups.items() if "RetentionInDays" not in g} == {}


def test_every_function_is_traced(stack: Stack) -> None:
    modes = {name: f["TracingConfig"]["Mode"] for name, f in stack.functions.items()}
    assert set(modes.values()) == {"Active"}


def test_every_function_has_a_role_of_its_own(stack: Stack) -> None:
    roles = [stack.role(name) for name in stack.functions]
    assert sorted(roles) == sorted(set(roles))
    others = {
        "BatchStateMachineRole",
        "BatchStateMachineInboxRole",
        "BatchStateMachineExecutionFailedRole",
    }
    assert set(stack.of_type("AWS::IAM::Role")) - set(roles) == others


def test_a_function_times_out_before_api_gateway_does(stack: Stack) -> None:
    late = {
        route.path: route.function
        for route in stack.routes
        if stack.functions[route.function]["Timeout"] * 1000 >= route.timeout_milliseconds
    }
    assert late == {}


def test_the_authorizer_times_out_before_the_ten_seconds_of_api_gateway(stack: Stack) -> None:
    assert stack.functions["AuthorizerFunction"]["Timeout"] < 10


def test_no_own_policy_uses_a_wildcard(stack: Stack) -> None:
    wide = [
        (name, statement)
        for name in stack.functions
        for statement in stack.statements(name)
        if '"*"' in json.dumps(statement["Resource"])
        or any("*" in action for action in as_list(statement["Action"]))
    ]
    assert wide == []


def test_the_only_managed_policies_are_those_for_logs_and_traces_and_our_own(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role").values()
    managed = [arn for role in roles for arn in role.get("ManagedPolicyArns", [])]
    ours = [arn for arn in managed if isinstance(arn, dict)]
    assert {arn for arn in managed if arn not in ours} == MANAGED_BY_AWS
    shared = {"Fn::If": ["ListsProviders", {"Ref": "ProvidersPolicy"}, {"Ref": "AWS::NoValue"}]}
    assert [arn for arn in ours if arn != shared] == []


def test_every_function_runs_the_same_python_on_the_chosen_processor(stack: Stack) -> None:
    runtimes = {f["Runtime"] for f in stack.functions.values()}
    processors = [f["Architectures"] for f in stack.functions.values()]
    assert runtimes == {"python3.13"}
    assert [p for p in processors if p != [{"Ref": "Architecture"}]] == []

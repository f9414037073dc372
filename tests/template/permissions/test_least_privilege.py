"""Each function may make the calls that it makes, and no others."""

from collections.abc import Iterator

import pytest

from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.cloudformation.template import Template
from local.cloudformation.translation import load
from tests.template.all_aws_calls import GIVEN_SECRET, LISTED_SECRET, ON_ITEMS, everything
from tests.template.calls import Needed, covers, made
from tests.template.permissions.needed import CALLS, FUNCTIONS, calls_of
from tests.template.permissions.policies import (
    LOGS,
    TRACES,
    Json,
    Request,
    Role,
    as_list,
    role_name,
    role_of,
)
from tests.template.stack import ROOT

FRONT = "Files Batches"
BATCHES = "Batches BatchPlan BatchWorker BatchAssemble"
JOBS = "JobWorker Responses BackgroundResponses"
RELAYS = "ChatCompletions Responses"
SMALL = "Authorizer Usage Models Health Openapi Playground"
CONDITIONAL = {"events:PutEvents", *ON_ITEMS}


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "with everything"])
def template(request: pytest.FixtureRequest) -> Template:
    given = {
        "ProviderKeySecretArn": GIVEN_SECRET,
        "Providers": '[{"name": "a", "base_url": "https://a.example"}]',
        "ProviderSecretArns": LISTED_SECRET,
        "WebhookUrl": "https://example.com/hook",
    }
    return load(ROOT / "template.yaml", given if request.param else {})


@pytest.mark.parametrize("holder", CALLS)
def test_a_role_allows_every_call_that_is_made_with_it(template: Template, holder: str) -> None:
    role = role_of(template, holder)
    refused = [c for c in calls_of(template, holder) if not role.allows(made(template, c))]
    assert refused == []


@pytest.mark.parametrize("holder", CALLS)
def test_a_role_allows_no_other_call(template: Template, holder: str) -> None:
    role, calls = role_of(template, holder), calls_of(template, holder)
    allowed = {request for request in everything(template) if role.allows(request)}
    unneeded = [r for r in allowed if not any(covers(template, call, r) for call in calls)]
    assert unneeded == []
    assert [c for c in calls if not any(covers(template, c, r) for r in allowed)] == []


@pytest.mark.parametrize("holder", CALLS)
def test_every_permission_of_a_role_is_needed(template: Template, holder: str) -> None:
    statements = role_of(template, holder).statements
    needed = [made(template, call) for call in calls_of(template, holder)]
    rights = [
        (statements[:index], less, statements[index + 1 :])
        for index, statement in enumerate(statements)
        if statement["Resource"] != "*"  # logs and traces
        for less in with_one_less(statement)
    ]
    roles = [Role([*before, less, *after]) for before, less, after in rights]
    assert [role for role in roles if all(map(role.allows, needed))] == []


def with_one_less(statement: Json) -> Iterator[Json]:
    """A statement without one of its actions, of its resources, of what its condition allows."""
    for element in ("Action", "Resource"):
        yield from ({**statement, element: rest} for rest in rests(statement[element]))
    for operator, tests in statement.get("Condition", {}).items():
        for key, patterns in tests.items():
            yield from (
                {**statement, "Condition": {operator: {key: rest}}} for rest in rests(patterns)
            )


def rests(patterns: str | list[str]) -> Iterator[list[str]]:
    """Some patterns without the first, without the second, and so on."""
    listed = as_list(patterns)
    return (listed[:index] + listed[index + 1 :] for index in range(len(listed)))


@pytest.mark.parametrize(
    ("functions", "action", "target", "key"),
    [
        ("*", "secretsmanager:PutSecretValue", "ProviderKeySecret", ""),
        ("Authorizer Usage", "secretsmanager:GetSecretValue", "ProviderKeySecret", ""),
        ("Health Openapi Playground", "secretsmanager:GetSecretValue", "ProviderKeySecret", ""),
        (FRONT, "secretsmanager:GetSecretValue", "ProviderKeySecret", ""),
        ("BatchAssemble", "secretsmanager:GetSecretValue", "ProviderKeySecret", ""),
        ("*", "dynamodb:Scan", "ClientsTable", ""),
        ("*", "dynamodb:Scan", "BatchesTable", ""),
        ("Authorizer", "dynamodb:GetItem", "ClientsTable", "ledger#*"),
        ("*", "dynamodb:PutItem", "ClientsTable", "client#*"),
        ("*", "dynamodb:UpdateItem", "ClientsTable", "client#*"),
        (RELAYS, "dynamodb:GetItem", "ClientsTable", "client#*"),
        ("*", "dynamodb:DeleteItem", "ClientsTable", "ledger#*"),
        (RELAYS, "dynamodb:Query", "AnswersTable", "answer#*"),
        ("Usage", "dynamodb:UpdateItem", "ClientsTable", "ledger#*"),
        ("Usage BatchWorker JobWorker", "dynamodb:GetItem", "ClientsTable", "client#*"),
        ("Models Health Openapi Playground", "dynamodb:GetItem", "ClientsTable", "client#*"),
        (f"{SMALL} {BATCHES} Files", "dynamodb:GetItem", "AnswersTable", "answer#*"),
        (f"{SMALL} {BATCHES} Files", "dynamodb:PutItem", "AnswersTable", "answer#*"),
        (f"{FRONT} BatchPlan", "dynamodb:UpdateItem", "ClientsTable", "ledger#*"),
        ("Files", "dynamodb:UpdateItem", "BatchesTable", "batches#*"),
        (FRONT, "dynamodb:UpdateItem", "BatchesTable", "chunks#*"),
        ("*", "dynamodb:DeleteItem", "BatchesTable", "batches#*"),
        ("*", "dynamodb:DeleteItem", "BatchesTable", "chunks#*"),
        ("BatchWorker", "dynamodb:UpdateItem", "BatchesTable", "files#*"),
        ("BatchPlan", "dynamodb:UpdateItem", "BatchesTable", "files#*"),
        (BATCHES, "dynamodb:GetItem", "BatchesTable", "responses#*"),
        (JOBS, "dynamodb:GetItem", "BatchesTable", "batches#*"),
        ("Responses BackgroundResponses", "dynamodb:UpdateItem", "BatchesTable", "jobs"),
        (FRONT, "s3:GetObject", "BatchBucket", "batches/*/parts/*"),
        (FRONT, "s3:PutObject", "BatchBucket", "batches/*/parts/*"),
        ("*", "s3:DeleteObject", "BatchBucket", "batches/*/parts/*"),
        ("Files BatchWorker", "s3:PutObject", "BatchBucket", "batches/*/output.jsonl"),
        ("BatchWorker BatchAssemble", "s3:PutObject", "BatchBucket", "batches/*/manifest.json"),
        ("Files", "s3:GetObject", "BatchBucket", "inbox/*"),
        ("Files", "s3:DeleteObject", "BatchBucket", "outbox/*/output.jsonl"),
        (BATCHES, "s3:PutObject", "BatchBucket", "files/*"),
        ("*", "s3:PutObject", "BatchBucket", "inbox/*"),
        ("*", "s3:DeleteObject", "BatchBucket", "inbox/*"),
        (f"Files {BATCHES}", "s3:GetObject", "BatchBucket", "responses/*"),
        (f"Files {BATCHES}", "s3:GetObject", "BatchBucket", "jobs/*"),
        (JOBS, "s3:GetObject", "BatchBucket", "files/*"),
        (JOBS, "s3:GetObject", "BatchBucket", "batches/*/output.jsonl"),
        ("Responses BackgroundResponses", "s3:GetObject", "BatchBucket", "jobs/*"),
        ("Responses", "s3:GetObject", "BatchBucket", "responses/*"),
        ("BackgroundResponses", "s3:PutObject", "BatchBucket", "responses/*"),
        ("Responses", "s3:ListBucket", "BatchBucket", ""),
        ("*", "sqs:PurgeQueue", "JobsQueue", ""),
        ("JobWorker", "sqs:SendMessage", "JobsQueue", ""),
        ("Responses", "sqs:ReceiveMessage", "JobsQueue", ""),
        ("*", "sqs:ReceiveMessage", "JobsDeadLetterQueue", ""),
        ("Files BatchWorker BatchAssemble", "states:StartExecution", "BatchStateMachine", ""),
        ("*", "states:RedriveExecution", "BatchStateMachine", ""),
        ("*", "states:UpdateStateMachine", "BatchStateMachine", ""),
        ("Files Batches BatchWorker Responses", "events:PutEvents", "", "llm-relay"),
        ("*", "events:PutEvents", "", "aws.s3"),
        ("*", "lambda:InvokeFunction", "BatchWorkerFunction", ""),
    ],
)  # fmt: skip
def test_harmful_calls_are_refused(
    template: Template, functions: str, action: str, target: str, key: str
) -> None:
    named = FUNCTIONS if functions == "*" else [f"{name}Function" for name in functions.split()]
    request = made(template, Needed(action, target, key))
    assert [f for f in named if role_of(template, f).allows(request)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_write_its_log_and_its_traces(template: Template, function: str) -> None:
    role = role_of(template, function)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:log-stream:any"
    wanted = [*(Request(a, group) for a in LOGS), *(Request(a, "*") for a in TRACES)]
    assert [request for request in wanted if not role.allows(request)] == []


def test_the_state_machine_may_write_its_traces_and_no_log(template: Template) -> None:
    role = role_of(template, "BatchStateMachine")
    assert [action for action in TRACES if not role.allows(Request(action, "*"))] == []
    assert [action for action in LOGS if role.allows(Request(action, "*"))] == []


def test_every_role_is_checked(template: Template) -> None:
    assert set(FUNCTIONS) == set(template.ids("AWS::Lambda::Function"))
    assert {role_name(template, holder) for holder in CALLS} == {*template.ids("AWS::IAM::Role")}


def test_conditions_are_only_on_actions_that_support_them(template: Template) -> None:
    limited = {
        action
        for holder in CALLS
        for statement in role_of(template, holder).statements
        if "Condition" in statement
        for action in as_list(statement["Action"])
    }
    assert limited
    assert limited <= CONDITIONAL


def test_every_call_is_made_by_an_existing_module_or_by_aws_itself() -> None:
    layer = ROOT / "layers" / "llm_relay" / "llm_relay"
    calls = [call for each in CALLS.values() for call in each]
    assert [c for c in calls if c.module and not (layer / c.module).is_file()] == []
    assert [c for c in calls if not c.module and not c.unseen] == []

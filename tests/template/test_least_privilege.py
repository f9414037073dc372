"""Each function may make the calls that it makes, and no others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from local.cloudformation import Template
from local.intrinsics import ACCOUNT, REGION
from local.translation import load
from tests.template.policies import LOGS, TRACES, Request, Role, UnknownPolicyError, role_of
from tests.template.stack import ROOT

GIVEN_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:given-AbCdEf"
OTHER_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:other-AbCdEf"
TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
CLIENT = "0123456789ab"


@dataclass(frozen=True, slots=True)
class Needed:
    """A call that a function makes: on what (a logical id), on which item, and where in the layer.

    The recording in tests/e2e/test_least_privilege.py holds this list against the truth.
    """

    action: str
    target: str
    key: str
    module: str


READS_THE_PROVIDER_KEY = Needed(
    "secretsmanager:GetSecretValue", "ProviderKeySecret", "", "provider_key.py"
)
RELAYS = [
    READS_THE_PROVIDER_KEY,
    Needed("dynamodb:UpdateItem", "ClientsTable", "ledger#", "ledger.py"),
    Needed("dynamodb:UpdateItem", "ClientsTable", "usage#", "ledger.py"),
    Needed("dynamodb:PutItem", "AnswersTable", "answer#", "idempotency.py"),
    Needed("dynamodb:UpdateItem", "AnswersTable", "answer#", "idempotency.py"),
    Needed("dynamodb:DeleteItem", "AnswersTable", "answer#", "idempotency.py"),
]
CALLS: Mapping[str, list[Needed]] = {
    "AuthorizerFunction": [
        Needed("dynamodb:GetItem", "ClientsTable", "client#", "client_keys.py"),
    ],
    "ChatCompletionsFunction": RELAYS,
    "ResponsesFunction": RELAYS,
    "ModelsFunction": [READS_THE_PROVIDER_KEY],
    "UsageFunction": [
        Needed("dynamodb:GetItem", "ClientsTable", "ledger#", "usage_report.py"),
        Needed("dynamodb:Query", "ClientsTable", "usage#", "usage_report.py"),
    ],
    "HealthFunction": [],
}
ON_ITEMS = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]
# IAM knows no leading keys for these, and a condition on none is met.
ON_TABLES = [
    "dynamodb:DeleteTable",
    "dynamodb:DescribeTable",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:PartiQLSelect",
    "dynamodb:Scan",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
]
ON_SECRETS = [
    "secretsmanager:DeleteSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
]
ELSEWHERE = [
    Request("apigateway:GET", f"arn:aws:apigateway:{REGION}::/apikeys"),
    Request("apigateway:POST", f"arn:aws:apigateway:{REGION}::/apikeys"),
    Request("dynamodb:ListTables", "*"),
    Request("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/any"),
    Request("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/any"),
    Request("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"),
    Request("lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"),
    Request("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:*"),
    Request("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:*"),
    Request("s3:GetObject", "arn:aws:s3:::any/object"),
    Request("s3:ListAllMyBuckets", "*"),
    Request("s3:ListBucket", "arn:aws:s3:::any"),
    Request("s3:PutObject", "arn:aws:s3:::any/object"),
    Request("secretsmanager:GetRandomPassword", "*"),
    Request("secretsmanager:ListSecrets", "*"),
    Request("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:any"),
    Request("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/any"),
]
ANSWER = (f"answer#{CLIENT}",)
KEYS = [
    (f"client#{CLIENT}",),
    (f"ledger#{CLIENT}",),
    (f"usage#{CLIENT}",),
    (f"other#{CLIENT}",),
    (f"ledger#{CLIENT}", f"client#{CLIENT}"),
]


@pytest.fixture(scope="module", params=["", GIVEN_SECRET], ids=["own secret", "given secret"])
def template(request: pytest.FixtureRequest) -> Template:
    return load(ROOT / "template.yaml", {"ProviderKeySecretArn": request.param})


def arn(template: Template, target: str) -> str:
    if target == "ProviderKeySecret":
        return str(template.parameters["ProviderKeySecretArn"]) or template.ref(target)
    return template.attribute(target, "Arn")


def made(template: Template, call: Needed) -> Request:
    keys = (call.key + CLIENT,) if call.key else ()
    return Request(call.action, arn(template, call.target), keys)


def everything(template: Template) -> Iterator[Request]:
    """Every call there is to think of, on what is ours and on what is not."""
    clients, answers = arn(template, "ClientsTable"), arn(template, "AnswersTable")
    yield from ELSEWHERE
    for action in ON_SECRETS:
        for secret in (arn(template, "ProviderKeySecret"), OTHER_SECRET):
            yield Request(action, secret)
    for table in (clients, answers, f"{TABLES}/other", f"{clients}/index/any"):
        yield from (Request(action, table) for action in ON_TABLES)
        keys = [ANSWER] if table == answers else KEYS
        yield from (Request(action, table, key) for action in ON_ITEMS for key in keys)


@pytest.mark.parametrize("function", CALLS)
def test_a_function_may_make_every_call_that_it_makes(template: Template, function: str) -> None:
    role = role_of(template, function)
    assert [c for c in CALLS[function] if not role.allows(made(template, c))] == []


@pytest.mark.parametrize("function", CALLS)
def test_of_everything_else_a_function_may_do_nothing(template: Template, function: str) -> None:
    role = role_of(template, function)
    allowed = {request for request in everything(template) if role.allows(request)}
    assert allowed == {made(template, call) for call in CALLS[function]}


@pytest.mark.parametrize(
    ("functions", "action", "target", "key"),
    [
        ("*", "secretsmanager:PutSecretValue", "ProviderKeySecret", ""),
        ("Authorizer Usage Health", "secretsmanager:GetSecretValue", "ProviderKeySecret", ""),
        ("*", "dynamodb:Scan", "ClientsTable", ""),
        ("Authorizer", "dynamodb:GetItem", "ClientsTable", "ledger#"),
        ("Authorizer", "dynamodb:PutItem", "ClientsTable", "client#"),
        ("ChatCompletions Responses", "dynamodb:GetItem", "ClientsTable", "client#"),
        ("ChatCompletions Responses", "dynamodb:UpdateItem", "ClientsTable", "client#"),
        ("ChatCompletions Responses", "dynamodb:DeleteItem", "ClientsTable", "ledger#"),
        ("ChatCompletions Responses", "dynamodb:Query", "AnswersTable", "answer#"),
        ("Usage", "dynamodb:UpdateItem", "ClientsTable", "ledger#"),
        ("Usage", "dynamodb:GetItem", "ClientsTable", "client#"),
        ("Models Health", "dynamodb:GetItem", "ClientsTable", "client#"),
        ("Authorizer Usage Models Health", "dynamodb:GetItem", "AnswersTable", "answer#"),
        ("Authorizer Usage Models Health", "dynamodb:PutItem", "AnswersTable", "answer#"),
    ],
)
def test_what_would_do_harm_is_refused(
    template: Template, functions: str, action: str, target: str, key: str
) -> None:
    named = CALLS if functions == "*" else [f"{name}Function" for name in functions.split()]
    request = made(template, Needed(action, target, key, ""))
    assert [f for f in named if role_of(template, f).allows(request)] == []


@pytest.mark.parametrize("function", CALLS)
def test_a_function_may_write_its_log_and_its_traces(template: Template, function: str) -> None:
    role = role_of(template, function)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:log-stream:any"
    wanted = [*(Request(a, group) for a in LOGS), *(Request(a, "*") for a in TRACES)]
    assert [request for request in wanted if not role.allows(request)] == []


def test_every_function_is_looked_at(template: Template) -> None:
    assert set(CALLS) == set(template.ids("AWS::Lambda::Function"))


def test_a_limit_on_keys_is_put_on_actions_alone_that_name_keys(template: Template) -> None:
    limited = {
        action
        for function in CALLS
        for statement in role_of(template, function).statements
        if "Condition" in statement
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }
    assert limited
    assert limited <= set(ON_ITEMS)


def test_every_call_is_made_by_a_module_that_is_there() -> None:
    layer = ROOT / "layers" / "llm_relay" / "llm_relay"
    modules = {call.module for calls in CALLS.values() for call in calls}
    assert [module for module in modules if not (layer / module).is_file()] == []


ALLOW = {"Effect": "Allow", "Action": "dynamodb:Get*", "Resource": "arn:?:table/*"}
KEYED = ALLOW | {"Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["a#*"]}}}
SINGLE = ALLOW | {"Condition": {"StringLike": {"dynamodb:LeadingKeys": "a#?"}}}
DENY = {"Effect": "Deny", "Action": "*", "Resource": "arn:x:table/secret"}
GET = "dynamodb:GetItem"


@pytest.mark.parametrize(
    ("statements", "request_", "allowed"),
    [
        ([], Request(GET, "arn:x:table/a"), False),
        ([ALLOW], Request(GET, "arn:x:table/a"), True),
        ([ALLOW], Request("DynamoDB:getitem", "arn:x:table/a"), True),
        ([ALLOW], Request(GET, "ARN:x:table/a"), False),
        ([ALLOW], Request(GET, "arn:xy:table/a"), False),
        ([ALLOW], Request("dynamodb:PutItem", "arn:x:table/a"), False),
        ([ALLOW], Request("s3:GetObject", "arn:x:table/a"), False),
        ([ALLOW, DENY], Request(GET, "arn:x:table/a"), True),
        ([ALLOW, DENY], Request(GET, "arn:x:table/secret"), False),
        ([DENY, ALLOW], Request(GET, "arn:x:table/secret"), False),
        ([KEYED], Request(GET, "arn:x:table/a", ("a#1", "a#2")), True),
        ([KEYED], Request(GET, "arn:x:table/a", ("a#1", "b#1")), False),
        ([KEYED], Request(GET, "arn:x:table/a"), True),
        ([SINGLE], Request(GET, "arn:x:table/a", ("a#1",)), True),
        ([SINGLE], Request(GET, "arn:x:table/a", ("a#12",)), False),
        ([SINGLE], Request(GET, "arn:x:table/a"), False),
    ],
)
def test_a_role_is_read_as_iam_reads_it(
    statements: list[dict[str, object]], request_: Request, allowed: bool
) -> None:
    assert Role([*statements]).allows(request_) is allowed


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW | {"NotAction": "s3:*"},
        ALLOW | {"Condition": {"StringNotLike": {"dynamodb:LeadingKeys": "a"}}},
        ALLOW | {"Resource": "arn:x:table/${aws:username}"},
    ],
)
def test_a_rule_that_is_not_known_here_is_an_error_and_no_answer(
    statement: dict[str, object],
) -> None:
    with pytest.raises(UnknownPolicyError):
        Role([statement]).allows(Request(GET, "arn:x:table/a"))

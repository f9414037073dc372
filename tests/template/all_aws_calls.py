"""AWS calls to check roles with, on resources of the stack and on others."""

from collections.abc import Iterable, Iterator, Mapping

from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.cloudformation.template import Template
from tests.template.calls import BUS, CLIENT, arn
from tests.template.permissions.policies import Request

LISTED_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:listed-AbCdEf"
GIVEN_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:given-AbCdEf"
OTHER_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:other-AbCdEf"
TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
QUEUES = f"arn:aws:sqs:{REGION}:{ACCOUNT}"
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
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
ON_OBJECTS = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
]
ON_BUCKETS = [
    "s3:DeleteBucket",
    "s3:GetBucketPolicy",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:PutBucketNotification",
    "s3:PutBucketPolicy",
    "s3:PutLifecycleConfiguration",
]
ON_QUEUES = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:DeleteQueue",
    "sqs:GetQueueAttributes",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sqs:SetQueueAttributes",
    "sqs:StartMessageMoveTask",
]
ON_MACHINES = [
    "states:DeleteStateMachine",
    "states:DescribeStateMachine",
    "states:ListExecutions",
    "states:StartExecution",
    "states:UpdateStateMachine",
]
ON_EXECUTIONS = [
    "states:DescribeExecution",
    "states:GetExecutionHistory",
    "states:RedriveExecution",
    "states:StopExecution",
]
OBJECTS = [
    f"files/{CLIENT}/file-1",
    "files/operator/file-1",
    "inbox/team/rows.jsonl",
    *(
        f"{place}/{name}"
        for place in ("batches/batch_1", "outbox/team/rows/batch_1")
        for name in ("manifest.json", "batch.json", "output.jsonl", "errors.jsonl")
    ),
    "batches/batch_1/parts/000000/0001-000000",
    "jobs/job-1.json",
    f"responses/{CLIENT}/resp_1.json",
    "other/batches",
]
KEYS_OF_CLIENTS: list[tuple[str, ...]] = [
    (f"client#{CLIENT}",),
    (f"ledger#{CLIENT}",),
    (f"usage#{CLIENT}",),
    ("circuits",),
    (f"other#{CLIENT}",),
    (f"ledger#{CLIENT}", f"client#{CLIENT}"),
]
KEYS_OF_BATCHES: list[tuple[str, ...]] = [
    *((f"{kind}#{CLIENT}",) for kind in ("batches", "batchkeys", "chunks", "files", "responses")),
    ("files#operator",),
    ("jobs",),
    (f"other#{CLIENT}",),
    (f"batches#{CLIENT}", f"other#{CLIENT}"),
]
KEYS: Mapping[str, list[tuple[str, ...]]] = {
    "ClientsTable": KEYS_OF_CLIENTS,
    "AnswersTable": [(f"answer#{CLIENT}",)],
    "BatchesTable": KEYS_OF_BATCHES,
}
ELSEWHERE = [
    Request("apigateway:GET", f"arn:aws:apigateway:{REGION}::/apikeys"),
    Request("apigateway:POST", f"arn:aws:apigateway:{REGION}::/apikeys"),
    Request("dynamodb:ListTables", "*"),
    Request("events:PutEvents", BUS, ("aws.s3",)),
    Request("events:PutEvents", BUS, ("llm-relay", "other")),
    Request("events:PutEvents", BUS),
    Request("events:PutEvents", BUS.replace("default", "other"), ("llm-relay",)),
    Request("events:PutRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/any"),
    Request("events:PutTargets", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/any"),
    Request("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/any"),
    Request("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/any"),
    Request("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"),
    Request("lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"),
    Request("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:*"),
    Request("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any:*"),
    Request("s3:CreateBucket", "arn:aws:s3:::any"),
    Request("s3:ListAllMyBuckets", "*"),
    Request("secretsmanager:GetRandomPassword", "*"),
    Request("secretsmanager:ListSecrets", "*"),
    Request("sqs:ListQueues", "*"),
    Request("states:ListStateMachines", "*"),
    Request("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/any"),
]


def everything(template: Template) -> Iterator[Request]:
    """Every call, on the resources of a template and on others beside them."""
    yield from ELSEWHERE
    yield Request("events:PutEvents", BUS, ("llm-relay",))
    own = [arn(template, name) for name in ("ProviderKeySecret", *webhook_secrets(template))]
    yield from on(ON_SECRETS, [*own, LISTED_SECRET, OTHER_SECRET])
    yield from on_tables(template)
    yield from on_bucket(template)
    queues = [arn(template, name) for name in ("JobsQueue", "JobsDeadLetterQueue")]
    yield from on(ON_QUEUES, [*queues, f"{QUEUES}:any"])
    yield from on_machines(template)
    for function in template.ids("AWS::Lambda::Function"):
        # Names begin with others' names, where a pattern would not tell them apart.
        for name in (arn(template, function), f"{arn(template, function)}Other"):
            yield Request("lambda:InvokeFunction", name)


def on(actions: Iterable[str], resources: Iterable[str]) -> Iterator[Request]:
    """Each action on each resource."""
    listed = [*resources]
    return (Request(action, resource) for action in actions for resource in listed)


def webhook_secrets(template: Template) -> list[str]:
    """The secret of the webhook, if there is one."""
    return ["WebhookSecret"] if "WebhookSecret" in template.types() else []


def on_tables(template: Template) -> Iterator[Request]:
    """Calls on tables, on their items, and on the items of another table."""
    tables = {arn(template, name): keys for name, keys in KEYS.items()}
    indexes = {f"{table}/index/any": keys for table, keys in tables.items()}
    for table, keys in {**tables, **indexes, f"{TABLES}/other": KEYS_OF_BATCHES}.items():
        yield from on(ON_TABLES, [table])
        yield from (Request(action, table, key) for action in ON_ITEMS for key in keys)


def on_bucket(template: Template) -> Iterator[Request]:
    """Calls on the bucket, on its objects, and on those of another bucket."""
    bucket, other = arn(template, "BatchBucket"), "arn:aws:s3:::other"
    yield from on(ON_BUCKETS, [bucket, other])
    yield from on(ON_OBJECTS, (f"{each}/{key}" for each in (bucket, other) for key in OBJECTS))


def on_machines(template: Template) -> Iterator[Request]:
    """Calls on the state machine, on its executions, and on those of another machine."""
    machine = arn(template, "BatchStateMachine")
    machines = [machine, f"{machine}Other", f"{STATES}:stateMachine:any"]
    yield from on(ON_MACHINES, machines)
    executions = [each.replace(":stateMachine:", ":execution:") + ":any" for each in machines]
    yield from on(ON_EXECUTIONS, executions)

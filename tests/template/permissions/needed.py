"""Which calls of AWS each function makes, and the state machine and the rules of EventBridge.

The recording in tests/e2e/test_least_privilege.py holds this list against the truth.
"""

from collections.abc import Mapping

from local.cloudformation.template import Template
from tests.template.calls import Needed

POLICY = "ProvidersPolicy"  # there is one for a list of providers alone
READS_THE_PROVIDER_KEY = [
    Needed("secretsmanager:GetSecretValue", "ProviderKeySecret", "", "providers/key_pool.py"),
    Needed("secretsmanager:GetSecretValue", POLICY, "", "providers/key_pool.py"),
]
CIRCUITS = [
    Needed(
        f"dynamodb:{action}",
        "ClientsTable",
        "circuits",
        "providers/circuit_breaker.py",
        given=POLICY,
    )
    for action in ("GetItem", "PutItem", "UpdateItem")
]
ACCOUNTS = [
    Needed("dynamodb:UpdateItem", "ClientsTable", "ledger#*", "billing/ledger.py"),
    Needed("dynamodb:UpdateItem", "ClientsTable", "usage#*", "billing/ledger.py"),
]
RELAYS = [
    *READS_THE_PROVIDER_KEY,
    *CIRCUITS,
    *ACCOUNTS,
    Needed("dynamodb:PutItem", "AnswersTable", "answer#*", "api/idempotency/records.py"),
    Needed("dynamodb:UpdateItem", "AnswersTable", "answer#*", "api/idempotency/records.py"),
    Needed("dynamodb:DeleteItem", "AnswersTable", "answer#*", "api/idempotency/records.py"),
]
ANNOUNCES = [
    Needed("events:PutEvents", "", "llm-relay", "notifications/events.py"),
    Needed("secretsmanager:GetSecretValue", "WebhookSecret", "", "notifications/events.py"),
]
# Of an object that is not there, S3 says so only to those who may list the bucket.
MAY_LIST = Needed("s3:ListBucket", "BatchBucket", "", "aws/s3.py")
FOR_LAMBDA = "Lambda itself makes it, to bring messages to the function"
FOR_STEP_FUNCTIONS = "Step Functions itself makes it, to run the machine"
FOR_EVENTBRIDGE = "EventBridge itself makes it, to start the machine"
IF_MANY_PARTS = "tens of thousands of parts come first"
IF_KILLED = "after a worker with a client's money was killed"
IF_BROKEN_OFF = "a file of more than eight megabytes breaks off first"
STARTS = Needed("states:StartExecution", "BatchStateMachine", unseen=FOR_EVENTBRIDGE)

CALLS: Mapping[str, list[Needed]] = {
    "AuthorizerFunction": [
        Needed("dynamodb:GetItem", "ClientsTable", "client#*", "api/authorizer.py"),
    ],
    "ChatCompletionsFunction": RELAYS,
    "ResponsesFunction": [
        *RELAYS,
        Needed("s3:PutObject", "BatchBucket", "responses/*", "jobs/background_relay.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "responses#*", "jobs/response_store.py"),
        Needed("sqs:SendMessage", "JobsQueue", "", "jobs/queue.py"),
    ],
    "ModelsFunction": READS_THE_PROVIDER_KEY,
    "UsageFunction": [
        Needed("dynamodb:GetItem", "ClientsTable", "ledger#*", "api/usage_report.py"),
        Needed("dynamodb:Query", "ClientsTable", "usage#*", "api/usage_report.py"),
    ],
    "HealthFunction": [],
    "OpenapiFunction": [],
    "PlaygroundFunction": [],
    "DoctorFunction": READS_THE_PROVIDER_KEY,
    "BackgroundResponsesFunction": [
        Needed("s3:GetObject", "BatchBucket", "responses/*", "jobs/response_routes.py"),
        Needed("s3:DeleteObject", "BatchBucket", "responses/*", "jobs/response_routes.py"),
        MAY_LIST,
        Needed("dynamodb:GetItem", "BatchesTable", "responses#*", "jobs/response_store.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "responses#*", "jobs/response_store.py"),
        Needed("dynamodb:DeleteItem", "BatchesTable", "responses#*", "jobs/response_store.py"),
    ],
    "FilesFunction": [
        Needed("s3:PutObject", "BatchBucket", "files/*", "batch/api/uploads.py"),
        *(
            Needed(action, "BatchBucket", place, "batch/api/files.py")
            for action in ("s3:GetObject", "s3:DeleteObject")
            for place in ("files/*", "batches/*/output.jsonl", "batches/*/errors.jsonl")
        ),
        MAY_LIST,
        *(
            Needed(f"dynamodb:{action}", "BatchesTable", "files#*", "batch/model/store.py")
            for action in ("GetItem", "UpdateItem", "DeleteItem", "Query")
        ),
        Needed("dynamodb:Query", "BatchesTable", "batches#*", "batch/api/files.py"),
    ],
    "BatchesFunction": [
        Needed("dynamodb:GetItem", "BatchesTable", "files#*", "batch/api/batches.py"),
        Needed("dynamodb:GetItem", "BatchesTable", "batches#*", "batch/api/batches.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "batches#*", "batch/api/submit.py"),
        Needed("dynamodb:Query", "BatchesTable", "batches#*", "batch/api/batches.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "batchkeys#*", "batch/model/store.py"),
        Needed("dynamodb:DeleteItem", "BatchesTable", "batchkeys#*", "batch/model/store.py"),
        Needed("states:StartExecution", "BatchStateMachine", "", "batch/api/submit.py"),
        Needed("states:StopExecution", "BatchStateMachine", "", "batch/api/submit.py"),
    ],
    "BatchPlanFunction": [
        *READS_THE_PROVIDER_KEY,
        *ANNOUNCES,
        Needed("s3:GetObject", "BatchBucket", "files/*", "batch/plan/plan.py"),
        Needed("s3:GetObject", "BatchBucket", "inbox/*", "batch/plan/plan.py"),
        MAY_LIST,
        Needed("s3:PutObject", "BatchBucket", "batches/*/manifest.json", "batch/plan/plan.py"),
        Needed("s3:PutObject", "BatchBucket", "batches/*/batch.json", "batch/finalize/notify.py"),
        Needed("s3:PutObject", "BatchBucket", "outbox/*/batch.json", "batch/finalize/notify.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "batches#*", "batch/model/store.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "files#operator", "batch/model/execution.py"),
    ],
    "BatchWorkerFunction": [
        *READS_THE_PROVIDER_KEY,
        *CIRCUITS,
        *ACCOUNTS,
        Needed("dynamodb:GetItem", "ClientsTable", "ledger#*", "batch/worker/budget.py"),
        Needed("s3:GetObject", "BatchBucket", "files/*", "batch/worker/rows.py"),
        Needed("s3:GetObject", "BatchBucket", "inbox/*", "batch/worker/rows.py"),
        MAY_LIST,
        Needed("s3:GetObject", "BatchBucket", "batches/*/parts/*", "batch/worker/recovery.py"),
        Needed("s3:PutObject", "BatchBucket", "batches/*/parts/*", "batch/worker/part_writer.py"),
        Needed("dynamodb:GetItem", "BatchesTable", "batches#*", "batch/worker/invocation.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "batches#*", "batch/worker/heartbeat.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "chunks#*", "batch/model/leases.py"),
    ],
    "BatchAssembleFunction": [
        *ANNOUNCES,
        Needed("s3:GetObject", "BatchBucket", "files/*", "batch/finalize/merge.py"),
        Needed("s3:GetObject", "BatchBucket", "inbox/*", "batch/finalize/merge.py"),
        MAY_LIST,
        Needed("s3:GetObject", "BatchBucket", "batches/*/manifest.json", "batch/finalize/merge.py"),
        Needed("s3:GetObject", "BatchBucket", "batches/*/parts/*", "batch/model/results.py"),
        Needed(
            "s3:PutObject",
            "BatchBucket",
            "batches/*/parts/*",
            "batch/finalize/compaction.py",
            IF_MANY_PARTS,
        ),
        *(
            Needed("s3:PutObject", "BatchBucket", f"{place}/*/{name}", "batch/finalize/merge.py")
            for place in ("batches", "outbox")
            for name in ("batch.json", "output.jsonl", "errors.jsonl")
        ),
        *(
            Needed(
                "s3:AbortMultipartUpload",
                "BatchBucket",
                f"{place}/*/{name}.jsonl",
                "aws/s3_writer.py",
                IF_BROKEN_OFF,
            )
            for place in ("batches", "outbox")
            for name in ("output", "errors")
        ),
        Needed("dynamodb:GetItem", "BatchesTable", "batches#*", "batch/finalize/assemble.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "batches#*", "batch/finalize/assemble.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "files#*", "batch/finalize/assemble.py"),
        Needed("dynamodb:Query", "BatchesTable", "chunks#*", "batch/model/leases.py"),
        Needed(
            "dynamodb:UpdateItem", "BatchesTable", "chunks#*", "batch/model/leases.py", IF_KILLED
        ),
        Needed(
            "dynamodb:UpdateItem", "ClientsTable", "ledger#*", "batch/worker/budget.py", IF_KILLED
        ),
        Needed(
            "dynamodb:UpdateItem", "ClientsTable", "usage#*", "batch/worker/budget.py", IF_KILLED
        ),
    ],
    "JobWorkerFunction": [
        *READS_THE_PROVIDER_KEY,
        *CIRCUITS,
        *ACCOUNTS,
        *ANNOUNCES,
        Needed("s3:GetObject", "BatchBucket", "responses/*", "jobs/job_types.py"),
        Needed("s3:PutObject", "BatchBucket", "responses/*", "jobs/job_types.py"),
        Needed("s3:DeleteObject", "BatchBucket", "responses/*", "jobs/job_types.py"),
        Needed("s3:GetObject", "BatchBucket", "jobs/*", "jobs/job_types.py"),
        Needed("s3:PutObject", "BatchBucket", "jobs/*", "jobs/job_types.py"),
        MAY_LIST,
        Needed("dynamodb:UpdateItem", "BatchesTable", "responses#*", "jobs/leases.py"),
        Needed("dynamodb:UpdateItem", "BatchesTable", "jobs", "jobs/leases.py"),
        Needed("sqs:ChangeMessageVisibility", "JobsQueue", "", "jobs/queue.py"),
        Needed("sqs:DeleteMessage", "JobsQueue", unseen=FOR_LAMBDA),
        Needed("sqs:GetQueueAttributes", "JobsQueue", unseen=FOR_LAMBDA),
        Needed("sqs:ReceiveMessage", "JobsQueue", unseen=FOR_LAMBDA),
    ],
    "BatchStateMachine": [
        Needed("lambda:InvokeFunction", "BatchPlanFunction", unseen=FOR_STEP_FUNCTIONS),
        Needed("lambda:InvokeFunction", "BatchWorkerFunction", unseen=FOR_STEP_FUNCTIONS),
        Needed("lambda:InvokeFunction", "BatchAssembleFunction", unseen=FOR_STEP_FUNCTIONS),
        Needed("s3:GetObject", "BatchBucket", "batches/*/manifest.json", unseen=FOR_STEP_FUNCTIONS),
        # What a distributed map needs.
        # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        Needed("states:StartExecution", "BatchStateMachine", unseen=FOR_STEP_FUNCTIONS),
        Needed("states:DescribeExecution", "BatchStateMachine", unseen=FOR_STEP_FUNCTIONS),
        Needed("states:StopExecution", "BatchStateMachine", unseen=FOR_STEP_FUNCTIONS),
    ],
    "BatchStateMachineInboxRole": [STARTS],
    "BatchStateMachineExecutionFailedRole": [STARTS],
}
FUNCTIONS = [name for name in CALLS if name.endswith("Function")]


def calls_of(template: Template, holder: str) -> list[Needed]:
    """What the list says of one function; some are made in some stacks alone."""
    exists = {"", *template.types(), "ProviderKeySecret"}
    return [call for call in CALLS[holder] if {call.target, call.given} <= exists]

"""An AWS for functions in containers: moto, with what the template's functions find there."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import boto3
from seeds import seed

from llm_relay.aws.s3 import Bucket
from llm_relay.batch.model.store import Store

if TYPE_CHECKING:
    from sample_events import Json

# The sample events name these.
BUCKET = "llm-relay-batches"
STATE_MACHINE = "batch"
QUEUE = "jobs"
# Step Functions notes executions and runs none.
DEFINITION = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


class Aws:
    """What a moto server holds for the functions of a template."""

    def __init__(self, url: str, template: Json) -> None:
        self.url = url
        self.bucket = Bucket(BUCKET, lambda: self._client("s3"))
        self._resources = template["Resources"]
        self._client = cache(self._new_client)

    def fill(self) -> dict[str, str]:
        """Create every resource again; return the variables of functions that SAM cannot know."""
        with urlopen(Request(f"{self.url}/moto-api/reset", method="POST")):  # noqa: S310 - our own
            pass
        self._client("s3").create_bucket(Bucket=BUCKET)
        for name, resource in self._resources.items():
            if resource["Type"] == "AWS::DynamoDB::Table":
                self._make_table(name, resource["Properties"])
        seed(self.bucket, Store("BatchesTable", lambda: self._client("dynamodb")))
        return {
            "BATCH_BUCKET": BUCKET,
            "JOBS_QUEUE_URL": self._client("sqs").create_queue(QueueName=QUEUE)["QueueUrl"],
            "STATE_MACHINE_ARN": self._make_state_machine(),
        }

    def _make_table(self, logical_id: str, properties: Json) -> None:
        # The logical id is what SAM hands the functions for a table's name.
        self._client("dynamodb").create_table(
            TableName=logical_id,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=properties["AttributeDefinitions"],
            KeySchema=properties["KeySchema"],
        )

    def _make_state_machine(self) -> str:
        made = self._client("stepfunctions").create_state_machine(
            name=STATE_MACHINE,
            definition=json.dumps(DEFINITION),
            roleArn="arn:aws:iam::123456789012:role/batch",
        )
        return str(made["stateMachineArn"])

    def _new_client(self, service: str) -> Any:
        session: Any = boto3.Session()  # its type knows services by their literal names
        return session.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - moto asks for one and no more
        )

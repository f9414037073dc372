"""Creates event resources: buckets, queues, rules, state machines."""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.cloudformation.resource_maker import ResourceMaker

SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
QUEUE_ATTRIBUTES = (
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
)


def make_bucket(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create an S3 bucket, with EventBridge notifications if configured. Return its name."""
    s3 = maker.client("s3")
    s3.create_bucket(Bucket=name)
    notifications = properties.get("NotificationConfiguration", {})
    if notifications.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled", False):
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    return name


def make_queue(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create an SQS queue. Return its URL."""
    attributes = {
        key: value if isinstance(value := properties[key], str) else json.dumps(value)
        for key in QUEUE_ATTRIBUTES
        if key in properties
    }
    made = maker.client("sqs").create_queue(QueueName=name, Attributes=attributes)
    return str(made["QueueUrl"])


def make_rule(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create an EventBridge rule with a queue as target. Return their name.

    Schedules never fire locally.
    """
    events = maker.client("events")
    given = {key: properties[key] for key in ("ScheduleExpression", "State") if key in properties}
    if pattern := properties.get("EventPattern"):
        given["EventPattern"] = json.dumps(pattern)
    events.put_rule(Name=name, **given)
    maker.client("sqs").create_queue(QueueName=name)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return name


def make_state_machine(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a state machine later. Return its ARN."""
    text = properties.get("DefinitionString", "")
    if location := properties.get("DefinitionS3Location"):
        text = (maker.root / location["Key"]).read_text()
    values = properties.get("DefinitionSubstitutions", {})
    definition = SUBSTITUTION.sub(lambda match: str(values[match[1]]), text)

    def create() -> None:
        import boto3  # noqa: PLC0415 - with moto, and not before

        # moto makes a client for each task, all from one session, which many threads at once can
        # use but not begin to use.
        boto3.client("lambda", region_name=REGION)
        maker.client("stepfunctions").create_state_machine(
            name=name,
            definition=definition,
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
            type=properties.get("StateMachineType", "STANDARD"),
        )

    maker.later(create)  # moto's interpreter takes two seconds to import
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"

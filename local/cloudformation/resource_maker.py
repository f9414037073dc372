"""Creates one resource of the template in the local AWS."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from local.cloudformation.intrinsics import ACCOUNT, REGION

Properties = Mapping[str, Any]
SUBSTITUTION = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMaker:
    """Creates resources by name and properties; returns what `Ref` returns.

    `root` is the folder of their files. `defer` receives work that is slow and seldom needed.
    """

    client: Callable[[str], Any]
    client_key: str
    provider_key: str
    root: Path
    defer: Callable[[Callable[[], object]], None]

    def secret(self, name: str, properties: Properties) -> str:
        """Create a secret; an empty one gets the provider's key."""
        manager = self.client("secretsmanager")
        value = properties.get("SecretString", self.provider_key)
        if wanted := properties.get("GenerateSecretString"):
            value = manager.get_random_password(**wanted)["RandomPassword"]
        return str(manager.create_secret(Name=name, SecretString=value)["ARN"])

    def bucket(self, name: str, properties: Properties) -> str:
        """Create an S3 bucket, with EventBridge notifications if configured."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        notifications = properties.get("NotificationConfiguration", {})
        if notifications.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled", False):
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        return name

    def table(self, name: str, properties: Properties) -> str:
        """Create a DynamoDB table with its indexes and TTL."""
        indexes = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        shape = only(properties, "AttributeDefinitions", "KeySchema", *indexes)
        dynamodb = self.client("dynamodb")
        dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **shape)
        if lifetime := properties.get("TimeToLiveSpecification"):
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=lifetime)
        return name

    def queue(self, name: str, properties: Properties) -> str:
        """Create an SQS queue, whose attributes have the names of the properties."""
        attributes = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in properties.items()
        }
        made = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(made["QueueUrl"])

    def rule(self, name: str, properties: Properties) -> str:
        """Create an EventBridge rule with a queue as target. Schedules never fire locally."""
        events = self.client("events")
        given = only(properties, "ScheduleExpression", "State")
        if pattern := properties.get("EventPattern"):
            given["EventPattern"] = json.dumps(pattern)
        events.put_rule(Name=name, **given)
        self.client("sqs").create_queue(QueueName=name)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        return name

    def state_machine(self, name: str, properties: Properties) -> str:
        """Create a state machine later: moto's interpreter takes two seconds to import."""
        text = (self.root / properties["DefinitionS3Location"]["Key"]).read_text()
        values = properties.get("DefinitionSubstitutions", {})
        definition = SUBSTITUTION.sub(lambda match: str(values[match[1]]), text)

        def create() -> None:
            import boto3  # noqa: PLC0415 - with moto, and not before

            # moto makes a client for each task, all from one session, which many threads at once
            # can use but not begin to use.
            boto3.client("lambda", region_name=REGION)
            self.client("stepfunctions").create_state_machine(
                name=name,
                definition=definition,
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
                type=properties.get("StateMachineType", "STANDARD"),
            )

        self.defer(create)
        return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"

    def rest_api(self, name: str, _: Properties) -> str:
        """Return an id; the stack serves the API itself."""
        return name.rpartition("-")[2]

    def api_key(self, name: str, properties: Properties) -> str:
        """Create an API key with the stack's client key as value."""
        enabled = properties.get("Enabled", False)
        gateway = self.client("apigateway")
        try:
            made = gateway.create_api_key(name=name, value=self.client_key, enabled=enabled)
        except gateway.exceptions.ConflictException:  # created by another stack in this process
            keys = gateway.get_api_keys(includeValues=True)["items"]
            made = next(key for key in keys if key["value"] == self.client_key)
        return str(made["id"])

    def usage_plan(self, name: str, properties: Properties) -> str:
        """Create a usage plan."""
        given = lower_first_letters(only(properties, "ApiStages", "Quota", "Throttle"))
        return str(self.client("apigateway").create_usage_plan(name=name, **given)["id"])

    def usage_plan_key(self, _: str, properties: Properties) -> str:
        """Add an API key to a usage plan."""
        given = lower_first_letters(properties)
        return str(self.client("apigateway").create_usage_plan_key(**given)["id"])

    def key(self, _: str, properties: Properties) -> str:
        """Create a KMS key."""
        policy = json.dumps(properties["KeyPolicy"])
        made = self.client("kms").create_key(Policy=policy, Description=properties["Description"])
        return str(made["KeyMetadata"]["KeyId"])

    def topic(self, name: str, properties: Properties) -> str:
        """Create an SNS topic with its subscriptions; no mail is sent."""
        sns = self.client("sns")
        made = sns.create_topic(Name=name, Attributes=only(properties, "KmsMasterKeyId"))
        for subscription in properties.get("Subscription", []):
            sns.subscribe(TopicArn=made["TopicArn"], **subscription)
        return str(made["TopicArn"])

    def alarm(self, name: str, properties: Properties) -> str:
        """Create a CloudWatch alarm, which never fires locally."""
        given = {**properties, "Threshold": float(properties["Threshold"])}  # maybe a parameter
        self.client("cloudwatch").put_metric_alarm(AlarmName=name, **given)
        return name

    def dashboard(self, name: str, properties: Properties) -> str:
        """Create a CloudWatch dashboard later."""
        put = self.client("cloudwatch").put_dashboard
        self.defer(partial(put, DashboardName=name, DashboardBody=properties["DashboardBody"]))
        return name


def only(properties: Properties, *names: str) -> dict[str, Any]:
    """Return the named properties that are given."""
    return {name: properties[name] for name in names if name in properties}


def lower_first_letters(value: Any) -> Any:
    """Convert CloudFormation's `RateLimit` to API Gateway's `rateLimit`, at every depth."""
    if isinstance(value, list):
        return [lower_first_letters(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key[0].lower() + key[1:]: lower_first_letters(item) for key, item in value.items()}

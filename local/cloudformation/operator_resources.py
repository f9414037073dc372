"""Makes what an operator looks at and is told by: dashboards, alarms, topics and their keys."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from local.cloudformation.resource_maker import ResourceMaker


def make_key(maker: ResourceMaker, _: str, properties: Mapping[str, Any]) -> str:
    """A key of KMS. Returns its id."""
    policy = json.dumps(properties["KeyPolicy"])
    made = maker.client("kms").create_key(Policy=policy, Description=properties["Description"])
    return str(made["KeyMetadata"]["KeyId"])


def make_topic(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """An SNS topic with its subscriptions, whose mails nobody sends. Returns its ARN."""
    attributes = {key: properties[key] for key in {"KmsMasterKeyId"} & set(properties)}
    sns = maker.client("sns")
    arn = str(sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])
    for wish in properties.get("Subscription", []):
        sns.subscribe(TopicArn=arn, **wish)
    return arn


def make_alarm(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """A CloudWatch alarm, which nothing here ever sets off by itself. Returns its name."""
    maker.client("cloudwatch").put_metric_alarm(AlarmName=name, **_with_numbers(properties))
    return name


def make_dashboard(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """A CloudWatch dashboard, later, as nobody waits for it. Returns its name."""
    put = maker.client("cloudwatch").put_dashboard
    maker.later(partial(put, DashboardName=name, DashboardBody=properties["DashboardBody"]))
    return name


def _with_numbers(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of the template is a string if it was given, and boto3 wants a number."""
    return {**properties, "Threshold": float(properties["Threshold"])}

"""Creates operations resources: dashboards, alarms, topics, keys."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from local.cloudformation.resource_maker import ResourceMaker


def make_key(maker: ResourceMaker, _: str, properties: Mapping[str, Any]) -> str:
    """Create a KMS key. Return its id."""
    policy = json.dumps(properties["KeyPolicy"])
    made = maker.client("kms").create_key(Policy=policy, Description=properties["Description"])
    return str(made["KeyMetadata"]["KeyId"])


def make_topic(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create an SNS topic with its subscriptions; no mail is sent. Return its ARN."""
    attributes = {key: properties[key] for key in {"KmsMasterKeyId"} & set(properties)}
    sns = maker.client("sns")
    arn = str(sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])
    for wish in properties.get("Subscription", []):
        sns.subscribe(TopicArn=arn, **wish)
    return arn


def make_alarm(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a CloudWatch alarm, which never fires locally. Return its name."""
    maker.client("cloudwatch").put_metric_alarm(AlarmName=name, **_with_numbers(properties))
    return name


def make_dashboard(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a CloudWatch dashboard later. Return its name."""
    put = maker.client("cloudwatch").put_dashboard
    maker.later(partial(put, DashboardName=name, DashboardBody=properties["DashboardBody"]))
    return name


def _with_numbers(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the threshold, which may be a string parameter, to a number."""
    return {**properties, "Threshold": float(properties["Threshold"])}

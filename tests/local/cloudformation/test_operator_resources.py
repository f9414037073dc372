"""Dashboards, alarms and their topics, as the template has them, in moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.aws_emulator.moto_server import moto
from local.cloudformation.resource_maker import ResourceMaker
from local.cloudformation.resources import MAKERS
from tests.template.operations.monitored import alarms, template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.cloudformation.template import Template

WATCHING = (
    "AWS::KMS::Key",
    "AWS::SNS::Topic",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
)


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What watches the product, made in moto, and of all the rest the names alone."""
    read = template()
    read.token = "watched"
    deferred: list[Callable[[], object]] = []
    root: Path = tmp_path_factory.mktemp("watching")
    maker = ResourceMaker(
        client=moto().client, client_key="", provider_key="", root=root, defer=deferred.append
    )
    for kind in WATCHING:
        for name in read.ids(kind):
            made = MAKERS[kind](maker, read.name(name), read.properties(name))
            read.physical_ids[name] = made
    for work in deferred:
        work()
    return read


def alarms_in_moto(watching: Template) -> dict[str, dict[str, Any]]:
    names = {watching.ref(name): name for name in watching.ids("AWS::CloudWatch::Alarm")}
    alarms = moto().client("cloudwatch").describe_alarms(AlarmNames=[*names])["MetricAlarms"]
    return {names[each["AlarmName"]]: each for each in alarms}


def test_alarms_exist_and_are_not_firing(watching: Template) -> None:
    there = alarms_in_moto(watching)
    assert set(there) == set(alarms())
    assert {each["StateValue"] for each in there.values()} == {"OK"}
    assert there["CostAlarm"]["Threshold"] == 5.0


def test_an_alarm_notifies_an_encrypted_topic_with_the_operator_s_subscription(
    watching: Template,
) -> None:
    (topic,) = alarms_in_moto(watching)["CostAlarm"]["AlarmActions"]
    sns = moto().client("sns")
    key = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"]
    assert moto().client("kms").describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == (
        "email",
        "operator@example.com",
    )


def test_the_dashboard_exists_with_the_stack_s_own_names(watching: Template) -> None:
    name = watching.ref("OperatorDashboard")
    kept = moto().client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    assert "${AWS" not in kept
    assert watching.attribute("JobsQueue", "QueueName") in kept
    assert len(json.loads(kept)["widgets"]) > len(WATCHING)

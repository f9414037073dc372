"""Alarms, as CloudWatch gets them; tests/functions/observability triggers each of them."""

import json
import re

import pytest

from tests.template.operations.monitored import alarm_metrics, alarms, template
from tests.template.stack import ROOT, Stack

MOST_METRICS = 10  # that CloudWatch lets one alarm do its arithmetic with
WATCHING = {"AWS::CloudWatch::Alarm", "AWS::SNS::Topic", "AWS::KMS::Key"}
# A crash of these is a batch that failed, which has an alarm; or a page that is not shown.
NOT_WATCHED_FOR_CRASHES = {
    "BatchPlanFunction",
    "BatchAssembleFunction",
    "DoctorFunction",
    "HealthFunction",
    "OpenapiFunction",
    "PlaygroundFunction",
}

# What is in quotation marks, or written like a parameter.
NAME = r'"([^"]+)"|\b([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)\b'
PLACES = {
    "UpstreamTime",
    "OverheadTime",
    "SQS job",
    "Task timed out",
    "Runtime exited",
}


def test_every_alarm_notifies_the_topic_when_it_starts_and_ends() -> None:
    topic = [template().ref("AlarmTopic")]
    notified = [
        each[actions] for each in alarms().values() for actions in ("AlarmActions", "OKActions")
    ]
    assert [actions for actions in notified if actions != topic] == []


def test_missing_data_raises_no_alarm() -> None:
    assert {each["TreatMissingData"] for each in alarms().values()} == {"notBreaching"}


def test_no_alarm_exceeds_cloudwatch_s_metric_limits() -> None:
    counts = {name: len(alarm_metrics(each)) for name, each in alarms().items()}
    assert {name: count for name, count in counts.items() if not 1 <= count <= MOST_METRICS} == {}


def test_the_guide_states_what_alarms_cost() -> None:
    paid = {name: len(alarm_metrics(each)) for name, each in alarms().items()}
    with_cost = sum(paid.values())
    price = f"each of the {with_cost - paid['CostAlarm']} metrics that they watch ({with_cost} with"
    assert price in (ROOT / "docs" / "operations" / "monitoring.md").read_text()


def test_the_guide_has_a_chapter_for_each_alarm() -> None:
    guide = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    assert sorted(re.findall(r"(?m)^### (\w+Alarm)$", guide)) == sorted(alarms())


def test_alarm_descriptions_name_things_that_exist() -> None:
    read = template()
    saved = [read.properties(name)["Name"] for name in read.ids("AWS::Logs::QueryDefinition")]
    known = {*read.document["Parameters"], *(query.partition("/")[2] for query in saved)} | PLACES
    texts = [each["AlarmDescription"] for each in alarms().values()]
    words = [word for text in texts for word in re.findall(NAME, text)]
    assert {quoted or word for quoted, word in words} - known == set()


def test_every_function_that_can_fail_unnoticed_is_monitored(stack: Stack) -> None:
    watched = json.dumps(stack.translated["Resources"]["FunctionErrorsAlarm"])
    missing = {name for name in stack.functions if f'{{"Ref": "{name}"}}' not in watched}
    assert missing == NOT_WATCHED_FOR_CRASHES


def test_notifications_are_encrypted_with_a_key_that_cloudwatch_may_use(stack: Stack) -> None:
    (topic,) = stack.of_type("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == {"Ref": "AlarmKey"}
    (key,) = stack.of_type("AWS::KMS::Key").values()
    grants = {
        statement["Principal"]["Service"]: set(statement["Action"])
        for statement in key["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    }
    assert grants == {"cloudwatch.amazonaws.com": {"kms:Decrypt", "kms:GenerateDataKey*"}}


@pytest.mark.parametrize(
    ("parameters", "left_out"),
    [
        ({"AlarmEmail": "a@example.com", "AlarmCostPerHourUsd": "5"}, set()),
        ({"AlarmEmail": "a@example.com"}, {"CostAlarm"}),
    ],
)
def test_alarms_exist_with_an_address_to_notify(
    parameters: dict[str, str], left_out: set[str]
) -> None:
    read = template(**parameters)
    assert set(read.ids("AWS::CloudWatch::Alarm")) == set(alarms()) - left_out


def test_without_an_address_to_notify_no_billed_resource_exists() -> None:
    read = template(AlarmCostPerHourUsd="5")
    assert WATCHING & set(read.types().values()) == set()

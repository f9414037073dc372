"""The template's resources in moto."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.aws_emulator.moto_server import moto
from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.resource_maker import ResourceMaker
from local.cloudformation.resources import create_resources
from local.cloudformation.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable


def made(tmp_path: Path, **resources: object) -> Template:
    template = Template(root=tmp_path, document={"Resources": resources}, parameters={})
    defer: list[Callable[[], object]] = []
    create_resources(
        template,
        ResourceMaker(
            client=moto().client,
            client_key="k" * 20,
            provider_key="the key",
            root=tmp_path,
            defer=defer.append,
        ),
    )
    return template


def test_an_empty_secret_holds_the_providers_key(tmp_path: Path) -> None:
    template = made(tmp_path, Key={"Type": "AWS::SecretsManager::Secret"})
    secret = moto().client("secretsmanager").get_secret_value(SecretId=template.ref("Key"))
    assert secret["SecretString"] == "the key"


def test_a_generated_secret_is_random(tmp_path: Path) -> None:
    generated = {"PasswordLength": 44, "ExcludePunctuation": True}
    resource = {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {"GenerateSecretString": generated},
    }
    template = made(tmp_path, One=resource, Other=resource)
    secrets = moto().client("secretsmanager")
    values = {
        secrets.get_secret_value(SecretId=template.ref(name))["SecretString"]
        for name in ("One", "Other")
    }
    assert {len(value) for value in values} == {44}
    assert len(values) == 2


def test_a_plan_and_its_key_match_the_template(tmp_path: Path) -> None:
    template = made(
        tmp_path,
        Key={"Type": "AWS::ApiGateway::ApiKey", "Properties": {"Enabled": True}},
        Plan={
            "Type": "AWS::ApiGateway::UsagePlan",
            "Properties": {"Throttle": {"RateLimit": 3, "BurstLimit": 4}},
        },
        KeyOnPlan={
            "Type": "AWS::ApiGateway::UsagePlanKey",
            "Properties": {
                "KeyId": {"Ref": "Key"},
                "KeyType": "API_KEY",
                "UsagePlanId": {"Ref": "Plan"},
            },
        },
    )
    gateway = moto().client("apigateway")
    plan = gateway.get_usage_plan(usagePlanId=template.ref("Plan"))
    assert plan["throttle"] == {"rateLimit": 3.0, "burstLimit": 4}
    keys = gateway.get_usage_plan_keys(usagePlanId=template.ref("Plan"))["items"]
    assert [key["value"] for key in keys] == ["k" * 20]


def test_a_table_has_the_ttl_of_its_items(tmp_path: Path) -> None:
    template = made(
        tmp_path,
        Table={
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "SSESpecification": {"SSEEnabled": True},
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            },
        },
    )
    dynamodb = moto().client("dynamodb")
    lifetime = dynamodb.describe_time_to_live(TableName=template.ref("Table"))
    assert lifetime["TimeToLiveDescription"]["AttributeName"] == "expires_at"


def test_an_unsupported_resource_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnresolvableError, match="AWS::Nothing::Known"):
        made(tmp_path, Odd={"Type": "AWS::Nothing::Known"})


def test_a_queue_is_referenced_by_its_url(tmp_path: Path) -> None:
    template = made(tmp_path, Jobs={"Type": "AWS::SQS::Queue"})
    sqs = moto().client("sqs")
    queue = template.ref("Jobs")
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "one"


def test_a_queue_has_its_visibility_timeout_and_its_dead_letter_queue(
    tmp_path: Path,
) -> None:
    policy = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3}
    template = made(
        tmp_path,
        Jobs={
            "Type": "AWS::SQS::Queue",
            "Properties": {"VisibilityTimeout": 7, "RedrivePolicy": policy},
        },
        Dead={"Type": "AWS::SQS::Queue"},
    )
    said = (
        moto()
        .client("sqs")
        .get_queue_attributes(QueueUrl=template.ref("Jobs"), AttributeNames=["All"])["Attributes"]
    )
    assert said["VisibilityTimeout"] == "7"
    assert said["QueueArn"] == template.attribute("Jobs", "Arn")
    redrive = json.loads(said["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == template.attribute("Dead", "Arn")
    assert template.ref("Dead").endswith("/" + template.attribute("Dead", "QueueName"))

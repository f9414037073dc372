"""Creates the template's resources in the local AWS."""

import secrets
from collections.abc import Mapping
from typing import Any

from local.cloudformation.event_resources import (
    make_bucket,
    make_queue,
    make_rule,
    make_state_machine,
)
from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.operator_resources import make_alarm, make_dashboard, make_key, make_topic
from local.cloudformation.resource_maker import Make, ResourceMaker
from local.cloudformation.template import Template

# Served by the stack itself, or meaningless locally.
NOT_CREATED = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Stage",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}


def make_secret(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a secret; an empty one gets the provider's key. Return its ARN."""
    manager = maker.client("secretsmanager")
    value = properties.get("SecretString", maker.provider_key)
    if asked := properties.get("GenerateSecretString"):
        value = manager.get_random_password(**asked)["RandomPassword"]
    return str(manager.create_secret(Name=name, SecretString=value)["ARN"])


def make_api_key(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create an API key with the stack's client key as value. Return its id."""
    enabled = properties.get("Enabled", False)
    gateway = maker.client("apigateway")
    try:
        made = gateway.create_api_key(name=name, value=maker.client_key, enabled=enabled)
    except gateway.exceptions.ConflictException:  # created by another stack in this process
        keys = gateway.get_api_keys(includeValues=True)["items"]
        made = next(key for key in keys if key["value"] == maker.client_key)
    return str(made["id"])


def make_api(_maker: ResourceMaker, name: str, _: Mapping[str, Any]) -> str:
    """Return an id; the stack serves the API itself."""
    return name.rpartition("-")[2]


def make_usage_plan(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a usage plan. Return its id."""
    settings = {
        "apiStages": [
            {"apiId": stage["ApiId"], "stage": stage["Stage"]}
            for stage in properties.get("ApiStages", [])
        ],
        "throttle": lower_first_letters(properties.get("Throttle")),
        "quota": lower_first_letters(properties.get("Quota")),
    }
    given = {key: value for key, value in settings.items() if value}
    return str(maker.client("apigateway").create_usage_plan(name=name, **given)["id"])


def make_usage_plan_key(maker: ResourceMaker, _: str, properties: Mapping[str, Any]) -> str:
    """Add a key to a usage plan. Return the key's id."""
    made = maker.client("apigateway").create_usage_plan_key(
        usagePlanId=properties["UsagePlanId"],
        keyId=properties["KeyId"],
        keyType=properties["KeyType"],
    )
    return str(made["id"])


def make_table(maker: ResourceMaker, name: str, properties: Mapping[str, Any]) -> str:
    """Create a DynamoDB table with its indexes and TTL. Return its name."""
    shape = {"AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"}
    given = {key: properties[key] for key in shape & set(properties)}
    dynamodb = maker.client("dynamodb")
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **given)
    if lifetime := properties.get("TimeToLiveSpecification"):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=lifetime)
    return name


def lower_first_letters(properties: Mapping[str, Any] | None) -> dict[str, Any]:
    """Convert CloudFormation's `RateLimit` to the API's `rateLimit`."""
    return {key[0].lower() + key[1:]: value for key, value in (properties or {}).items()}


# In order of dependency.
MAKERS: Mapping[str, Make] = {
    "AWS::SecretsManager::Secret": make_secret,
    "AWS::S3::Bucket": make_bucket,
    "AWS::DynamoDB::Table": make_table,
    "AWS::SQS::Queue": make_queue,
    "AWS::Events::Rule": make_rule,
    "AWS::StepFunctions::StateMachine": make_state_machine,
    "AWS::ApiGateway::RestApi": make_api,
    "AWS::ApiGateway::ApiKey": make_api_key,
    "AWS::ApiGateway::UsagePlan": make_usage_plan,
    "AWS::ApiGateway::UsagePlanKey": make_usage_plan_key,
    "AWS::KMS::Key": make_key,
    "AWS::SNS::Topic": make_topic,
    "AWS::CloudWatch::Alarm": make_alarm,
    "AWS::CloudWatch::Dashboard": make_dashboard,
}


def create_resources(template: Template, maker: ResourceMaker) -> None:
    """Create every resource and store the ids in the template; UnresolvableError if unsupported."""
    types = template.types()
    if strange := {*types.values()} - {*MAKERS} - NOT_CREATED:
        raise UnresolvableError(f"the local stack cannot make {', '.join(sorted(strange))}")
    template.token = secrets.token_hex(5)  # as all stacks of a process share moto
    for kind, make_one in MAKERS.items():
        listed = [(name, template.properties(name)) for name in template.ids(kind)]
        # A dead-letter queue must exist before the queue that names it.
        for name, properties in sorted(listed, key=lambda each: "RedrivePolicy" in each[1]):
            template.physical_ids[name] = make_one(maker, template.name(name), properties)

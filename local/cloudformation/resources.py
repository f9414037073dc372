"""Creates the template's resources in the local AWS."""

import secrets
from collections.abc import Callable, Mapping

from local.cloudformation.intrinsics import UnresolvableError
from local.cloudformation.resource_maker import Properties, ResourceMaker
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
# In order of dependency.
MAKERS: Mapping[str, Callable[[ResourceMaker, str, Properties], str]] = {
    "AWS::SecretsManager::Secret": ResourceMaker.secret,
    "AWS::S3::Bucket": ResourceMaker.bucket,
    "AWS::DynamoDB::Table": ResourceMaker.table,
    "AWS::SQS::Queue": ResourceMaker.queue,
    "AWS::Events::Rule": ResourceMaker.rule,
    "AWS::StepFunctions::StateMachine": ResourceMaker.state_machine,
    "AWS::ApiGateway::RestApi": ResourceMaker.rest_api,
    "AWS::ApiGateway::ApiKey": ResourceMaker.api_key,
    "AWS::ApiGateway::UsagePlan": ResourceMaker.usage_plan,
    "AWS::ApiGateway::UsagePlanKey": ResourceMaker.usage_plan_key,
    "AWS::KMS::Key": ResourceMaker.key,
    "AWS::SNS::Topic": ResourceMaker.topic,
    "AWS::CloudWatch::Alarm": ResourceMaker.alarm,
    "AWS::CloudWatch::Dashboard": ResourceMaker.dashboard,
}


def create_resources(template: Template, maker: ResourceMaker) -> None:
    """Create every resource and store the ids in the template; UnresolvableError if unsupported."""
    if unknown := {*template.types().values()} - {*MAKERS} - NOT_CREATED:
        raise UnresolvableError(f"the local stack cannot make {', '.join(sorted(unknown))}")
    template.token = secrets.token_hex(5)  # as all stacks of a process share moto
    for kind, make in MAKERS.items():
        listed = [(name, template.properties(name)) for name in template.ids(kind)]
        # A dead-letter queue must exist before the queue that names it.
        for name, properties in sorted(listed, key=lambda each: "RedrivePolicy" in each[1]):
            template.physical_ids[name] = make(maker, template.name(name), properties)

"""Finds the target stack of a command: the local one or a deployed one."""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

ROOT = Path(__file__).resolve().parents[2]
LOCAL_STACK_FILE = ".relay-local.json"
OPTIONS = "cli.aws.target_stack"  # key of the options in click's context

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEndpoint:
    """A stack's base URL and a client key."""

    base_url: str
    client_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A stack as CloudFormation, or the local stack's file, describes it."""

    name: str
    status: str
    resources: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """An existing stack: its description and its AWS clients."""

    def __init__(
        self,
        session: "boto3.Session",
        description: Description,
        endpoint_url: str | None = None,
        door: HttpEndpoint | None = None,
    ) -> None:
        self._session, self._endpoint_url = session, endpoint_url
        self.description = description
        self.door = door  # only for the local stack: AWS does not show client keys

    def resource(self, logical_id: str) -> str:
        """Return the physical id of a resource of template.yaml."""
        if logical_id not in self.description.resources:
            raise click.ClickException(
                f"The stack has no {logical_id}: deploy this version of it with 'sam deploy'."
            )
        return self.description.resources[logical_id]

    def owns(self, physical_id: str) -> bool:
        """Return whether the stack has a resource with that id."""
        return physical_id in self.description.resources.values()

    def parameter(self, name: str) -> str:
        """Return a parameter's value; empty if the stack does not have it."""
        return str(self.description.parameters.get(name, ""))

    def api_gateway(self) -> "APIGatewayClient":
        """Return a client of API Gateway."""
        return self._session.client("apigateway", endpoint_url=self._endpoint_url)

    def secrets(self) -> "SecretsManagerClient":
        """Return a client of Secrets Manager."""
        return self._session.client("secretsmanager", endpoint_url=self._endpoint_url)

    def clients_table(self) -> "Table":
        """Return the table of clients, ledgers and usage."""
        dynamodb = self._session.resource("dynamodb", endpoint_url=self._endpoint_url)
        return dynamodb.Table(self.resource("ClientsTable"))

    def dynamodb(self) -> "DynamoDBClient":
        """Return a client of DynamoDB."""
        return self._session.client("dynamodb", endpoint_url=self._endpoint_url)

    def s3(self) -> "S3Client":
        """Return a client of S3."""
        return self._session.client("s3", endpoint_url=self._endpoint_url)

    def step_functions(self) -> "SFNClient":
        """Return a client of Step Functions."""
        return self._session.client("stepfunctions", endpoint_url=self._endpoint_url)

    def functions(self) -> "LambdaClient":
        """Return a client of Lambda, without retries."""
        from botocore.config import Config  # noqa: PLC0415 - late, as boto3

        config = Config(read_timeout=120, retries={"total_max_attempts": 1})
        return self._session.client("lambda", endpoint_url=self._endpoint_url, config=config)

    def cloudwatch(self) -> "CloudWatchClient":
        """Return a client of CloudWatch."""
        return self._session.client("cloudwatch", endpoint_url=self._endpoint_url)

    def sqs(self) -> "SQSClient":
        """Return a client of SQS."""
        return self._session.client("sqs", endpoint_url=self._endpoint_url)


def target_options(command: Command) -> Command:
    """Add the options that select the stack to a command."""
    option = partial(click.option, expose_value=False, callback=store_option)
    command = option("--region", metavar="NAME", help="AWS region of the stack.")(command)
    command = option("--profile", metavar="NAME", help="AWS profile to use.")(command)
    command = option(
        "--stack-name", metavar="NAME", help="Deployed stack [default: of samconfig.toml]"
    )(command)
    return option("--local", is_flag=True, help="Use the stack of 'make run'.")(command)


def store_option(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store an option for stack_of."""
    if value:
        context.meta.setdefault(OPTIONS, {})[parameter.name] = value


def stack_of(context: click.Context) -> Stack:
    """Return the stack selected on the command line; ClickException if it does not exist."""
    options = context.meta.get(OPTIONS, {})
    root = context.obj or ROOT
    if not options.get("local"):
        name = options.get("stack_name") or configured_name(root / "samconfig.toml")
        return deployed_stack(name, options.get("profile"), options.get("region"))
    if len(options) > 1:
        raise click.UsageError(
            "--local cannot be combined with --stack-name, --profile or --region."
        )
    return local_stack(root / LOCAL_STACK_FILE)


def flags_of(context: click.Context) -> str:
    """Return the options that select the stack, for another command line."""
    options = context.meta.get(OPTIONS, {})
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(value)}")
        for name, value in options.items()
    ]
    return "".join(f" {word}" for word in words)


def configured_name(samconfig: Path) -> str:
    """Return the stack name of samconfig.toml."""
    try:
        return str(
            tomllib.loads(samconfig.read_text())["default"]["global"]["parameters"]["stack_name"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No stack is selected: pass --stack-name NAME, or --local for the local stack."
        ) from None


def local_stack(note: Path) -> Stack:
    """Return the local stack that a file describes."""
    try:
        description = json.loads(note.read_text())
        return Stack(
            local_session(description["aws_region"]),
            Description(
                name="the local stack",
                status="RUNNING",
                resources=description["resources"],
                parameters=description["parameters"],
            ),
            description["aws_endpoint_url"],
            HttpEndpoint(base_url=description["base_url"], client_key=description["client_key"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No local stack is running: start it with 'make run' in another terminal."
        ) from None


@cache
def local_session(region: str) -> "boto3.Session":
    """Return the session of local stacks, cached with its service models."""
    import boto3  # noqa: PLC0415 - 0.25 s that --help does not need

    return boto3.Session("local", "local", region_name=region)


def deployed_stack(name: str, profile: str | None, region: str | None) -> Stack:
    """Return a deployed stack."""
    import boto3  # noqa: PLC0415 - as above
    from botocore.exceptions import ClientError  # noqa: PLC0415

    session = boto3.Session(profile_name=profile, region_name=region)
    formation = session.client("cloudformation")
    try:
        (described,) = formation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise click.ClickException(
            f"There is no stack {name} in {session.region_name}: run 'sam deploy', select another "
            "one with --stack-name or --region, or use --local."
        ) from None
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
    return Stack(
        session,
        Description(
            name=name,
            status=described["StackStatus"],
            resources={
                each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
                for page in pages
                for each in page["StackResourceSummaries"]
            },
            parameters=key_values(described.get("Parameters", []), "Parameter"),
            outputs=key_values(described.get("Outputs", []), "Output"),
        ),
    )


def key_values(listed: Iterable[Mapping[str, Any]], kind: str) -> dict[str, str]:
    """Return CloudFormation's list of keys and values as a dict."""
    return {each[f"{kind}Key"]: each[f"{kind}Value"] for each in listed}

"""Which stack a command is for: the one that runs here, or one deployed in an account."""

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
NOTE = ".relay-local.json"
SAID = "cli.aws.target_stack"  # the options, wherever on the line they stand

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEndpoint:
    """Where a stack's own clients call it, with a key that lets one in."""

    base_url: str
    client_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What CloudFormation, or a local stack's note, says of a stack."""

    name: str
    status: str
    resources: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """A stack that is there: what it is made of, and the means to call its AWS."""

    def __init__(
        self,
        session: "boto3.Session",
        description: Description,
        endpoint_url: str | None = None,
        door: HttpEndpoint | None = None,
    ) -> None:
        self._session, self._endpoint_url = session, endpoint_url
        self.description = description
        self.door = door  # known of the local stack alone: an account shows nobody a client's key

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource of template.yaml."""
        if logical_id not in self.description.resources:
            raise click.ClickException(
                f"The stack has no {logical_id}: deploy this version of it with 'sam deploy'."
            )
        return self.description.resources[logical_id]

    def owns(self, physical_id: str) -> bool:
        """Whether a resource of that id is the stack's."""
        return physical_id in self.description.resources.values()

    def parameter(self, name: str) -> str:
        """The value of a parameter of template.yaml, empty if the stack does not have it."""
        return str(self.description.parameters.get(name, ""))

    def api_gateway(self) -> "APIGatewayClient":
        """The API Gateway that keeps the client keys."""
        return self._session.client("apigateway", endpoint_url=self._endpoint_url)

    def secrets(self) -> "SecretsManagerClient":
        """The Secrets Manager that keeps the provider's key."""
        return self._session.client("secretsmanager", endpoint_url=self._endpoint_url)

    def clients_table(self) -> "Table":
        """The table of clients, their ledgers and their usage, in Python's own types."""
        dynamodb = self._session.resource("dynamodb", endpoint_url=self._endpoint_url)
        return dynamodb.Table(self.resource("ClientsTable"))

    def dynamodb(self) -> "DynamoDBClient":
        """The DynamoDB that the table is in, in DynamoDB's types."""
        return self._session.client("dynamodb", endpoint_url=self._endpoint_url)

    def s3(self) -> "S3Client":
        """The S3 that the files of batches are in."""
        return self._session.client("s3", endpoint_url=self._endpoint_url)

    def step_functions(self) -> "SFNClient":
        """The Step Functions that runs batches."""
        return self._session.client("stepfunctions", endpoint_url=self._endpoint_url)

    def functions(self) -> "LambdaClient":
        """The Lambda that runs the functions; nobody is served twice by asking it again."""
        from botocore.config import Config  # noqa: PLC0415 - late, as boto3

        patience = Config(read_timeout=120, retries={"total_max_attempts": 1})
        return self._session.client("lambda", endpoint_url=self._endpoint_url, config=patience)

    def cloudwatch(self) -> "CloudWatchClient":
        """The CloudWatch that has the alarms and the metrics."""
        return self._session.client("cloudwatch", endpoint_url=self._endpoint_url)

    def sqs(self) -> "SQSClient":
        """The SQS that the jobs wait in."""
        return self._session.client("sqs", endpoint_url=self._endpoint_url)


def target_options(command: Command) -> Command:
    """Gives a command the options that say which stack it is for."""
    option = partial(click.option, expose_value=False, callback=keep)
    command = option("--region", metavar="NAME", help="AWS region of the stack.")(command)
    command = option("--profile", metavar="NAME", help="AWS profile to use.")(command)
    command = option(
        "--stack-name", metavar="NAME", help="The deployed stack (else samconfig.toml's)."
    )(command)
    return option("--local", is_flag=True, help="The stack that 'make run' serves here.")(command)


def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Remembers an option for stack_of."""
    if value:
        context.meta.setdefault(SAID, {})[parameter.name] = value


def stack_of(context: click.Context) -> Stack:
    """The stack that the command line names; a ClickException if it is not there."""
    said = context.meta.get(SAID, {})
    root = context.obj or ROOT
    if not said.get("local"):
        name = said.get("stack_name") or configured_name(root / "samconfig.toml")
        return deployed(name, said.get("profile"), said.get("region"))
    if len(said) > 1:
        raise click.UsageError("--local goes without --stack-name, --profile and --region.")
    return running(root / NOTE)


def flags_of(context: click.Context) -> str:
    """The options of a command line that say which stack it is for, to be pasted into another."""
    said = context.meta.get(SAID, {})
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(value)}")
        for name, value in said.items()
    ]
    return "".join(f" {word}" for word in words)


def configured_name(samconfig: Path) -> str:
    """The name of the stack that `sam deploy` makes."""
    try:
        return str(
            tomllib.loads(samconfig.read_text())["default"]["global"]["parameters"]["stack_name"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No stack is named: give --stack-name NAME, or --local for the one that runs here."
        ) from None


def running(note: Path) -> Stack:
    """The local stack that a note tells of."""
    try:
        told = json.loads(note.read_text())
        return Stack(
            local_session(told["aws_region"]),
            Description(
                name="the local stack",
                status="RUNNING",
                resources=told["resources"],
                parameters=told["parameters"],
            ),
            told["aws_endpoint_url"],
            HttpEndpoint(base_url=told["base_url"], client_key=told["client_key"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No local stack runs here: start it with 'make run' in another terminal."
        ) from None


@cache
def local_session(region: str) -> "boto3.Session":
    """The session of local stacks, which reads what AWS's services look like once."""
    import boto3  # noqa: PLC0415 - a quarter of a second that --help need not wait

    return boto3.Session("local", "local", region_name=region)


def deployed(name: str, profile: str | None, region: str | None) -> Stack:
    """The stack of a name in an AWS account."""
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
            f"There is no stack {name} in {session.region_name}: deploy it with 'sam deploy', name "
            "another one with --stack-name or --region, or use --local."
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
            parameters=values(described.get("Parameters", []), "Parameter"),
            outputs=values(described.get("Outputs", []), "Output"),
        ),
    )


def values(listed: Iterable[Mapping[str, Any]], kind: str) -> dict[str, str]:
    """CloudFormation's list of keys and values."""
    return {each[f"{kind}Key"]: each[f"{kind}Value"] for each in listed}

"""Finds the target stack of a command: the local one or a deployed one."""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llm_relay.providers.dialects.dialect import Dialect, dialect_named

if TYPE_CHECKING:
    import boto3

ROOT = Path(__file__).resolve().parents[2]  # of the project, unless `relay` is installed
OPTIONS = "cli.aws.target_stack"  # key of the options in click's context


@dataclass(kw_only=True)
class Stack:
    """A stack as CloudFormation, or the local stack's file, describes it."""

    session: "boto3.Session"
    endpoint_url: str | None = None  # of AWS's services
    name: str
    status: str
    resources: Mapping[str, str]
    parameters: Mapping[str, str]
    base_url: str  # empty if a failed deployment left no outputs
    client_key: str | None = None  # of the local stack: AWS does not show client keys

    def __post_init__(self) -> None:
        """Add `client`, which returns the client of an AWS service, cached."""
        self.client = self.session.client  # the type of `client`
        cached: Any = cache(partial(self.session.client, endpoint_url=self.endpoint_url))
        self.client = cached

    def resource(self, logical_id: str) -> str:
        """Return the physical id of a resource of template.yaml."""
        if logical_id not in self.resources:
            raise click.ClickException(
                f"The stack has no {logical_id}: deploy this version of it with 'sam deploy'."
            )
        return self.resources[logical_id]

    def parameter(self, name: str) -> str:
        """Return a parameter's value; empty if the stack does not have it."""
        return str(self.parameters.get(name, ""))

    @property
    def dialect(self) -> Dialect:
        """The dialect of the stack's single provider."""
        name, base_url = self.parameter("ProviderDialect"), self.parameter("UpstreamBaseUrl")
        return dialect_named(name or "auto", base_url)


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select the stack to a command."""
    option = partial(click.option, expose_value=False, callback=_store_option)
    command = option("--region", metavar="NAME", help="AWS region of the stack.")(command)
    command = option("--profile", metavar="NAME", help="AWS profile to use.")(command)
    command = option(
        "--stack-name", metavar="NAME", help="Deployed stack [default: of samconfig.toml]"
    )(command)
    return option("--local", is_flag=True, help="Use the stack of 'make run'.")(command)


def _store_option(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        context.meta.setdefault(OPTIONS, {})[parameter.name] = value


def target_selection() -> dict[str, Any]:
    """Return the options of the current command line that select the stack."""
    options: dict[str, Any] = click.get_current_context().meta.get(OPTIONS, {})
    return options


def target_stack() -> Stack:
    """Return the stack selected on the command line; ClickException if it does not exist."""
    options = target_selection()
    if not options.get("local"):
        name = options.get("stack_name") or _configured_name(_project_file("samconfig.toml"))
        return _deployed_stack(name, options.get("profile"), options.get("region"))
    if len(options) > 1:
        raise click.UsageError(
            "--local cannot be combined with --stack-name, --profile or --region."
        )
    return local_stack(_project_file(".relay-local.json"))


def _project_file(name: str) -> Path:
    """Return a file of the project; if `relay` is installed, of the nearest folder upwards."""
    root: Path | None = click.get_current_context().obj
    if root is None and not (ROOT / "pyproject.toml").is_file():
        here = Path.cwd()
        root = next((each for each in (here, *here.parents) if (each / name).is_file()), here)
    return (root or ROOT) / name


def target_flags() -> str:
    """Return the options that select the stack, for another command line."""
    return "".join(
        f" --{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(value)}")
        for name, value in target_selection().items()
    )


def _configured_name(samconfig: Path) -> str:
    try:
        settings = tomllib.loads(samconfig.read_text())
        return str(settings["default"]["global"]["parameters"]["stack_name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No stack is selected: pass --stack-name NAME, or --local for the local stack."
        ) from None


def local_stack(note: Path) -> Stack:
    """Return the local stack that a file describes."""
    import boto3  # noqa: PLC0415 - 0.25 s that --help does not need

    try:
        description = json.loads(note.read_text())
        return Stack(
            session=boto3.Session("local", "local", region_name=description["aws_region"]),
            endpoint_url=description["aws_endpoint_url"],
            name="the local stack",
            status="RUNNING",
            resources=description["resources"],
            parameters=description["parameters"],
            base_url=description["base_url"],
            client_key=description["client_key"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise click.ClickException(
            "No local stack is running: start it with 'make run' in another terminal."
        ) from None


def _deployed_stack(name: str, profile: str | None, region: str | None) -> Stack:
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
        session=session,
        name=name,
        status=described["StackStatus"],
        resources={
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
            for each in pages.search("StackResourceSummaries[]")
        },
        parameters=_key_values(described.get("Parameters", []), "Parameter"),
        base_url=_key_values(described.get("Outputs", []), "Output").get("OpenAIBaseUrl", ""),
    )


def _key_values(listed: Iterable[Mapping[str, Any]], kind: str) -> dict[str, str]:
    return {each[f"{kind}Key"]: each[f"{kind}Value"] for each in listed}

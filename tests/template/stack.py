"""The template as it is written, and as CloudFormation gets it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
CODE = {"CodeUri", "ContentUri", "DefinitionUri"}
DEFAULT_TIMEOUT_MILLISECONDS = 29_000  # what API Gateway waits when a route says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path of the API."""

    method: str
    path: str
    definition: Json

    @property
    def integration(self) -> Json:
        """How API Gateway calls the function."""
        value: Json = self.definition["x-amazon-apigateway-integration"]
        return value

    @property
    def function(self) -> str:
        """Logical id of the function that answers."""
        return str(
            re.findall(r"\$\{(\w+?)(?:\.Arn|Aliaslive)}", self.integration["uri"]["Fn::Sub"])[0]
        )

    @property
    def timeout_milliseconds(self) -> int:
        """How long API Gateway waits for the function."""
        return int(self.integration.get("timeoutInMillis", DEFAULT_TIMEOUT_MILLISECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Both forms of the template."""

    written: Json
    translated: Json

    def of_type(self, kind: str) -> dict[str, Json]:
        """Properties of the translated resources of one type, by logical id."""
        resources = self.translated["Resources"].items()
        return {name: r.get("Properties", {}) for name, r in resources if r["Type"] == kind}

    @property
    def functions(self) -> dict[str, Json]:
        """Properties of every function, by logical id."""
        return self.of_type("AWS::Lambda::Function")

    @property
    def api(self) -> Json:
        """The OpenAPI document of the one REST API."""
        (api,) = self.of_type("AWS::ApiGateway::RestApi").values()
        body: Json = api["Body"]
        return body

    @property
    def routes(self) -> list[Route]:
        """Every route of the API."""
        return [
            Route(method=method.upper(), path=path, definition=definition)
            for path, methods in self.api["paths"].items()
            for method, definition in methods.items()
        ]

    def environment(self, function: str) -> Json:
        """Variables of one function, intrinsics unresolved."""
        values: Json = self.functions[function].get("Environment", {}).get("Variables", {})
        return values

    def statements(self, function: str) -> Iterator[Json]:
        """Every policy statement that the template itself gives one function, or may give it."""
        role = self.of_type("AWS::IAM::Role")[self.role(function)]
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield statement["Fn::If"][1] if "Fn::If" in statement else statement

    def role(self, function: str) -> str:
        """Logical id of the role that one function runs under."""
        return str(self.functions[function]["Role"]["Fn::GetAtt"][0])


def logical_id(folder: str) -> str:
    """Return the logical id of the function that lives in a folder of that name."""
    return folder.replace("_", " ").title().replace(" ", "") + "Function"


def read(path: Path) -> Json:
    """Parse a template, short forms such as !Ref included."""
    value: Json = yaml_parse(path.read_text())  # type: ignore[no-untyped-call]
    return value


def translate(path: Path) -> Stack:
    """Translate a template offline; its code is put where SAM expects it, in a bucket."""
    written, packaged = read(path), read(path)
    for resource in packaged["Resources"].values():
        for code in {"CodeUri", "ContentUri", "DefinitionUri"} & resource.get(
            "Properties", {}
        ).keys():
            resource["Properties"][code] = "s3://bucket/key"
    region = {"AWS::Region": "us-east-1"}
    translator = Translator({}, Parser(), None, boto3.Session(region_name="us-east-1"))
    return Stack(written=written, translated=translator.translate(packaged, region))


def choose(value: Any, conditions: Mapping[str, bool]) -> Any:
    """Resolve every Fn::If in a value."""
    if isinstance(value, list):
        return [choose(item, conditions) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        name, yes, no = value["Fn::If"]
        return choose(yes if conditions[name] else no, conditions)
    return {key: choose(item, conditions) for key, item in value.items()}

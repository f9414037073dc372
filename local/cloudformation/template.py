"""A translated template, resolved without CloudFormation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

from local.cloudformation.intrinsics import ACCOUNT, REGION, STACK, Resolver, UnresolvableError

# What `GetAtt ... Arn`, `Ref` (by default the name) and `GetAtt` of the name return, by type.
ARNS: Mapping[str, str] = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::Rule": "arn:aws:events:{region}:{account}:rule/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:{region}:{account}:stateMachine:{name}",
}
REFS: Mapping[str, str] = {
    "AWS::ApiGateway::Stage": "{StageName}",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::{account}:policy/{name}",
    "AWS::Lambda::Alias": "arn:aws:lambda:{region}:{account}:function:{FunctionName}:{Name}",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:{region}:{account}:layer:{name}:1",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-aLocal",
    "AWS::StepFunctions::StateMachine": ARNS["AWS::StepFunctions::StateMachine"],
}
NAME_ATTRIBUTES = {"AWS::SQS::Queue": "QueueName", "AWS::StepFunctions::StateMachine": "Name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One Lambda function of the template, ready to run."""

    logical_id: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    memory_megabytes: int
    timeout_seconds: float
    environment: Mapping[str, str]
    starts_from_snapshot: bool = False

    @property
    def name(self) -> str:
        """The function's name: the last part of its ARN."""
        return self.arn.rpartition(":")[2]


@dataclass(slots=True, kw_only=True)
class Template:
    """The resources of a translated template whose conditions are true."""

    root: Path
    document: Mapping[str, Any]
    parameters: Mapping[str, Any]
    physical_ids: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def ids(self, kind: str) -> Iterator[str]:
        """Return the logical ids of a type's resources, in the template's order."""
        return (name for name, type_ in self.types().items() if type_ == kind)

    def types(self) -> dict[str, str]:
        """Return the types of all resources, by logical id."""
        resolver = self.resolver()
        return {
            name: resource["Type"]
            for name, resource in self.document["Resources"].items()
            if "Condition" not in resource or resolver.condition(resource["Condition"])
        }

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Return the resolved properties of a resource (with the ids known so far)."""
        raw = self.document["Resources"][logical_id].get("Properties", {})
        resolved: dict[str, Any] = self.resolver().resolve(raw)
        return resolved

    def functions(self) -> list[FunctionSpec]:
        """Return every Lambda function."""
        layers = {
            self.ref(name): self._folder(self.properties(name)["Content"])
            for name in self.ids("AWS::Lambda::LayerVersion")
        }
        return [self._function(name, layers) for name in self.ids("AWS::Lambda::Function")]

    def resolver(self) -> Resolver:
        """Return a resolver for this template."""
        return Resolver(self.document, self.parameters, self.ref, self.attribute)

    def ref(self, logical_id: str) -> str:
        """Return the result of `Ref`: the physical id, or a predictable one."""
        if logical_id in self.physical_ids:
            return self.physical_ids[logical_id]
        return self._fill_in(logical_id, REFS.get(self._type(logical_id), "{name}"))

    def attribute(self, logical_id: str, attribute: str) -> str:
        """Return the result of `GetAtt`."""
        kind = self._type(logical_id)
        if attribute == NAME_ATTRIBUTES.get(kind):
            return self.name(logical_id)
        if attribute == "Arn" and kind in ARNS:
            return self._fill_in(logical_id, ARNS[kind])
        raise UnresolvableError(f"the local stack does not know {logical_id}.{attribute}")

    def name(self, logical_id: str) -> str:
        """Return a resource's name; `token` distinguishes stacks."""
        parts = [STACK, logical_id, *filter(None, [self.token])]
        if self._type(logical_id) == "AWS::S3::Bucket":
            return "-".join([*parts, ACCOUNT]).lower()
        return "-".join(parts)

    def _type(self, logical_id: str) -> str:
        if logical_id not in self.document["Resources"]:
            raise UnresolvableError(f"the template has no parameter or resource {logical_id}")
        return str(self.document["Resources"][logical_id]["Type"])

    def _fill_in(self, logical_id: str, pattern: str) -> str:
        properties = self.document["Resources"][logical_id].get("Properties", {})
        fields = {field for _, field, _, _ in Formatter().parse(pattern)}
        named = {key: value for key, value in properties.items() if key in fields}
        known = {"name": self.name(logical_id), "region": REGION, "account": ACCOUNT}
        return pattern.format_map(self.resolver().resolve(named) | known)

    def _folder(self, code: Mapping[str, str]) -> Path:
        return (self.root / code["S3Key"]).resolve()

    def _function(self, name: str, layers: Mapping[str, Path]) -> FunctionSpec:
        properties = self.properties(name)
        variables = properties.get("Environment", {}).get("Variables", {})
        return FunctionSpec(
            logical_id=name,
            arn=self.attribute(name, "Arn"),
            handler=properties["Handler"],
            code=self._folder(properties["Code"]),
            layers=tuple(layers[arn] for arn in properties.get("Layers", [])),
            memory_megabytes=int(properties.get("MemorySize", 128)),
            timeout_seconds=float(properties.get("Timeout", 3)),
            environment={key: str(value) for key, value in variables.items()},
            starts_from_snapshot=properties.get("SnapStart", {}).get("ApplyOn")
            == "PublishedVersions",
        )

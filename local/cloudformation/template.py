"""A translated template, resolved without CloudFormation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

from local.cloudformation.intrinsics import ACCOUNT, REGION, STACK, Resolver, UnresolvableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Results of `Ref` and `GetAtt` for a type of resource."""

    ref: str = "{name}"
    arn: str = ""
    name_attribute: str = ""


IDENTITIES: Mapping[str, Identity] = {
    "AWS::ApiGateway::Stage": Identity(ref="{StageName}"),
    "AWS::DynamoDB::Table": Identity(arn="arn:aws:dynamodb:{region}:{account}:table/{name}"),
    "AWS::Events::Rule": Identity(arn="arn:aws:events:{region}:{account}:rule/{name}"),
    "AWS::IAM::ManagedPolicy": Identity(ref="arn:aws:iam::{account}:policy/{name}"),
    "AWS::IAM::Role": Identity(arn="arn:aws:iam::{account}:role/{name}"),
    "AWS::Lambda::Alias": Identity(
        ref="arn:aws:lambda:{region}:{account}:function:{FunctionName}:{Name}"
    ),
    "AWS::Lambda::Function": Identity(arn="arn:aws:lambda:{region}:{account}:function:{name}"),
    "AWS::Lambda::LayerVersion": Identity(ref="arn:aws:lambda:{region}:{account}:layer:{name}:1"),
    "AWS::Logs::LogGroup": Identity(arn="arn:aws:logs:{region}:{account}:log-group:{name}:*"),
    "AWS::S3::Bucket": Identity(arn="arn:aws:s3:::{name}"),
    "AWS::SQS::Queue": Identity(
        arn="arn:aws:sqs:{region}:{account}:{name}", name_attribute="QueueName"
    ),
    "AWS::SecretsManager::Secret": Identity(
        ref="arn:aws:secretsmanager:{region}:{account}:secret:{name}-aLocal"
    ),
    "AWS::StepFunctions::StateMachine": Identity(
        ref="arn:aws:states:{region}:{account}:stateMachine:{name}",
        arn="arn:aws:states:{region}:{account}:stateMachine:{name}",
        name_attribute="Name",
    ),
}


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
        resources: Mapping[str, Any] = self.document["Resources"]
        return {
            name: resource["Type"]
            for name, resource in resources.items()
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
        return Resolver(
            parameters=self.parameters,
            ref=self.ref,
            attribute=self.attribute,
            conditions=self.document.get("Conditions", {}),
            mappings=self.document.get("Mappings", {}),
        )

    def ref(self, logical_id: str) -> str:
        """Return the result of `Ref`: the physical id, or a predictable one."""
        if logical_id in self.physical_ids:
            return self.physical_ids[logical_id]
        return self._identify(logical_id, self._identity(logical_id).ref)

    def attribute(self, logical_id: str, attribute: str) -> str:
        """Return the result of `GetAtt`."""
        identity = self._identity(logical_id)
        patterns = {"Arn": identity.arn, identity.name_attribute: "{name}"}
        if not (pattern := patterns.get(attribute)):
            raise UnresolvableError(f"the local stack does not know {logical_id}.{attribute}")
        return self._identify(logical_id, pattern)

    def name(self, logical_id: str) -> str:
        """Return a resource's name; `token` distinguishes stacks."""
        parts = [STACK, logical_id, *filter(None, [self.token])]
        if self.document["Resources"][logical_id]["Type"] == "AWS::S3::Bucket":
            return "-".join([*parts, ACCOUNT]).lower()
        return "-".join(parts)

    def _identity(self, logical_id: str) -> Identity:
        if logical_id not in self.document["Resources"]:
            raise UnresolvableError(f"the template has no parameter or resource {logical_id}")
        return IDENTITIES.get(self.document["Resources"][logical_id]["Type"], Identity())

    def _identify(self, logical_id: str, pattern: str) -> str:
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

"""Evaluates CloudFormation's intrinsic functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "llm-relay"
NO_VALUE = object()
PSEUDO_PARAMETERS: Mapping[str, Any] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": NO_VALUE,
    "AWS::NotificationARNs": [],
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
# The functions whose arguments are resolved first.
SIMPLE_FUNCTIONS: Mapping[str, Callable[[list[Any]], Any]] = {
    "Fn::And": all,
    "Fn::Equals": lambda items: str(items[0]) == str(items[1]),
    "Fn::Join": lambda items: str(items[0]).join(map(str, items[1])),
    "Fn::Not": lambda items: not items[0],
    "Fn::Or": any,
    "Fn::Select": lambda items: items[1][int(items[0])],
    "Fn::Split": lambda items: str(items[1]).split(items[0]),
}
VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class UnresolvableError(ValueError):
    """The template uses something unsupported; the message names it."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves values of a template; `ref` and `attribute` resolve its resources."""

    document: Mapping[str, Any]
    parameters: Mapping[str, Any]
    ref: Callable[[str], Any]
    attribute: Callable[[str, str], Any]

    def resolve(self, value: Any) -> Any:
        """Return the value with every intrinsic function replaced by its result."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (function := self._function(next(iter(value)))):
            return function(next(iter(value.values())))
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def condition(self, name: str) -> bool:
        """Return whether the named condition is true."""
        conditions = self.document.get("Conditions", {})
        if name not in conditions:
            raise UnresolvableError(f"the template has no condition {name}")
        return bool(self.resolve(conditions[name]))

    def _function(self, key: str) -> Callable[[Any], Any] | None:
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self._named_condition,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Sub": self._sub,
        }
        if simple := SIMPLE_FUNCTIONS.get(key):
            return lambda items: simple(self.resolve(items))
        if key.startswith("Fn::") and key not in functions:
            raise UnresolvableError(f"the local stack does not know {key}")
        return functions.get(key)

    def _ref(self, name: str) -> Any:
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        return self.parameters[name] if name in self.parameters else self.ref(name)

    def _named_condition(self, name: Any) -> Any:
        # A policy statement has a key "Condition" too; there it holds an object.
        return self.condition(name) if isinstance(name, str) else {"Condition": self.resolve(name)}

    def _if(self, items: list[Any]) -> Any:
        name, then, otherwise = items
        return self.resolve(then if self.condition(name) else otherwise)

    def _find_in_map(self, items: list[Any]) -> Any:
        name, first, second = self.resolve(items)
        return self.document["Mappings"][name][first][second]

    def _get_att(self, target: str | list[str]) -> Any:
        name, attribute = target.split(".", 1) if isinstance(target, str) else target
        return self.attribute(name, attribute)

    def _sub(self, target: str | list[Any]) -> str:
        text, extra = (target, {}) if isinstance(target, str) else target
        variables = self.resolve(extra)

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return str(variables[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return VARIABLE.sub(replace, text)

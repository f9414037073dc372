"""Translates template.yaml to CloudFormation with SAM's translator, offline."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.cloudformation.intrinsics import REGION, UnresolvableError
from local.cloudformation.template import Template

FOLDER = "s3://folder/"  # SAM requires code in S3: the key names the real folder


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Template:
    """Load a template with default parameters and overrides."""
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 - takes a second

    source: dict[str, Any] = yaml_parse(path.read_text())  # type: ignore[no-untyped-call]
    declared = source.get("Parameters", {})
    if unknown := set(overrides or {}) - set(declared):
        raise UnresolvableError(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
    defaults = {name: spec["Default"] for name, spec in declared.items() if "Default" in spec}
    parameters = defaults | dict(overrides or {})
    for name, value in parameters.items():
        _check(name, declared[name], str(value))
        if declared[name]["Type"] == "CommaDelimitedList" and isinstance(value, str):
            parameters[name] = value.split(",")
    return Template(root=path.parent, document=translate(source, parameters), parameters=parameters)


def _check(name: str, spec: Mapping[str, Any], value: str) -> None:
    """Refuse a parameter's value as CloudFormation does; ValueError with its reason."""
    allowed = [str(each) for each in spec.get("AllowedValues", [value])]
    if value not in allowed:
        raise ValueError(f"{name} is {value}, and must be one of: {', '.join(allowed)}")
    pattern = spec.get("AllowedPattern", ".*")
    if not re.fullmatch(pattern, value, re.DOTALL):
        raise ValueError(f"{name} {spec.get('ConstraintDescription', f'must match {pattern}')}")


def translate(source: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a SAM template as CloudFormation."""
    import boto3  # noqa: PLC0415 - with the next two, a second and a half
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    for resource in source["Resources"].values():
        for key in {"CodeUri", "ContentUri", "DefinitionUri"} & set(resource.get("Properties", {})):
            resource["Properties"][key] = FOLDER + resource["Properties"][key]
    session = boto3.Session(region_name=REGION)
    translated: dict[str, Any] = Translator({}, Parser(), None, session).translate(
        source, {"AWS::Region": REGION, **parameters}
    )
    return translated

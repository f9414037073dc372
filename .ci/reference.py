"""Writes the generated parts of docs/reference, each between its markers."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from samtranslator.yaml_helper import yaml_parse

from cli.main import main as relay

ROOT = Path(__file__).parent.parent
GENERATED = re.compile(r"(?<=<!-- generated -->\n).*?(?=<!-- /generated -->)", re.DOTALL)


def table(*rows: tuple[object, ...]) -> Iterator[str]:
    """Yield the lines of a Markdown table whose first row is the head."""
    for number, cells in enumerate(rows):
        yield f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in cells)} |"
        if not number:
            yield f"|{' --- |' * len(cells)}"
    yield ""


def template() -> Iterator[str]:
    """Yield the template's parameters and outputs."""
    document = yaml_parse((ROOT / "template.yaml").read_text())  # type: ignore[no-untyped-call]
    yield from ("## Parameters", "")
    yield from table(
        ("parameter", "default", "description"),
        *(
            (
                f"`{name}`",
                f"`{spec['Default']}`" if str(spec["Default"]) else "empty",
                spec["Description"],
            )
            for name, spec in document["Parameters"].items()
        ),
    )
    yield from ("## Outputs", "")
    outputs = document["Outputs"].items()
    yield from table(
        ("output", "description"), *((f"`{name}`", spec["Description"]) for name, spec in outputs)
    )


def api() -> Iterator[str]:
    """Yield the routes, and the headers of requests and answers."""
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    yield from ("## Routes", "")
    yield from table(("route", "does", "needs a client key"), *routes(document["paths"]))
    components = document["components"]
    yield from ("## Request headers", "")
    sent = [each for each in components["parameters"].values() if each["in"] == "header"]
    yield from table(
        ("header", "meaning"),
        ("`Authorization`", "`Bearer` and the client key"),
        *((f"`{each['name']}`", each["description"]) for each in sent),
    )
    yield from ("## Response headers", "")
    yield from table(("header", "meaning"), *headers(components))


def routes(paths: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """Yield a row for each operation."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method != "parameters":
                is_open = operation.get("security") == []
                does = operation["summary"]
                yield f"`{method.upper()} {path}`", does, "no" if is_open else "yes"


def headers(components: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """Yield each response header once, with its meaning."""
    described = re.findall(
        r"^ +([\w-]+): \{\$ref: \"#/components/headers/(\w+)\"\}",
        (ROOT / "docs" / "openapi.yaml").read_text(),
        re.MULTILINE,
    )
    for name, component in dict(described).items():
        yield f"`{name}`", components["headers"][component]["description"]


def commands() -> Iterator[str]:
    """Yield the help of each command of `relay`."""
    yield from help_of(relay, context_of(relay, "relay"))


def help_of(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield a section for a command, and those of its subcommands."""
    yield from (f"## {context.command_path}", "", "```text", command.get_help(context), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if subcommand := command.get_command(context, name):
                yield from help_of(subcommand, context_of(subcommand, name, context))


def context_of(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """Return a context that prints help as on a terminal with 80 columns."""
    settings = command.context_settings
    return click.Context(command, parent, info_name=name, terminal_width=80, **settings)


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "api.md": api,
    "cli.md": commands,
    "template.md": template,
}


def filled(name: str) -> str:
    """Return a page with its generated part; its markers must be there."""
    text = (ROOT / "docs" / "reference" / name).read_text()
    if not GENERATED.search(text):
        raise LookupError(f"{name} has no <!-- generated --> and <!-- /generated -->")
    generated = "\n" + "\n".join(PAGES[name]())
    return GENERATED.sub(lambda _: generated, text)


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / "docs" / "reference" / page).write_text(filled(page))

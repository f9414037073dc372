"""The notes that a batch carries."""

from typing import Any

import click

from llm_relay.batch.api.checks import check_metadata
from llm_relay.core.errors import BadRequest


class Pair(click.ParamType[tuple[str, str]]):
    """A name and a text, as name=text."""

    name = "name=text"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """The name and the text; fails for what is no pair."""
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not sign or not name:
            self.fail("write name=text", param, ctx)
        return name, text


def notes(_context: click.Context, _option: click.Parameter, pairs: Any) -> dict[str, str]:
    """The pairs of all options; a BadParameter for what the API would not take."""
    metadata = dict(pairs)
    try:
        check_metadata({"metadata": metadata})
    except BadRequest as refused:
        raise click.BadParameter(refused.message) from None
    return metadata

"""The --metadata option."""

from typing import Any

import click

from llm_relay.batch.api.checks import check_metadata
from llm_relay.core.errors import BadRequest


class Pair(click.ParamType[tuple[str, str]]):
    """A name=text pair."""

    name = "name=text"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return the name and the text."""
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not sign or not name:
            self.fail("write name=text", param, ctx)
        return name, text


def parse_metadata(_context: click.Context, _option: click.Parameter, pairs: Any) -> dict[str, str]:
    """Return all pairs as a dict; BadParameter if the API would reject them."""
    metadata = dict(pairs)
    try:
        check_metadata({"metadata": metadata})
    except BadRequest as refused:
        raise click.BadParameter(refused.message) from None
    return metadata

"""The notes that a batch carries."""

from typing import Any

import click

MOST_PAIRS, LONGEST_NAME, LONGEST_TEXT = 16, 64, 512  # as OpenAI's API has it


class Pair(click.ParamType[tuple[str, str]]):
    """A name and a text, as name=text."""

    name = "name=text"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """The name and the text; fails for what is no pair, or longer than the API allows."""
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not sign or not name or len(name) > LONGEST_NAME or len(text) > LONGEST_TEXT:
            self.fail(
                f"write name=text, a name of 1 to {LONGEST_NAME} characters and a text of at most "
                f"{LONGEST_TEXT}",
                param,
                ctx,
            )
        return name, text


def few(_context: click.Context, _option: click.Parameter, pairs: Any) -> dict[str, str]:
    """The pairs of all options; a BadParameter if there are too many."""
    if len(pairs) > MOST_PAIRS:
        raise click.BadParameter(f"at most {MOST_PAIRS} pairs")
    return dict(pairs)

"""Options of several commands, and parsers of their values: BadParameter for invalid text."""

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from cli.services.clients import KEY_LIKE
from llm_relay.batch.api.checks import check_metadata
from llm_relay.core.errors import BadRequest

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhd]?)")
MAX_NANOS = 10**18  # a billion dollars
MAX_NAME_LENGTH = 64
CLIENT_ID = re.compile(r"[0-9a-f]{12}")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
output_file = click.Path(dir_okay=False, writable=True, path_type=Path)


def usd(text: str) -> int:
    """Return positive US dollars as whole nanodollars."""
    with suppress(InvalidOperation):
        nanos = Decimal(text).scaleb(9)
        if 0 < nanos < MAX_NANOS and nanos == int(nanos):
            return int(nanos)
    raise click.BadParameter("write dollars above 0 with at most 9 decimals, like 25 or 0.50")


def duration(text: str) -> int:
    """Return a time like 24h, 30m, 90s, 7d or 0 in seconds."""
    match = DURATION.fullmatch(text)
    if not match or not (match["unit"] or int(match["number"]) == 0):
        raise click.BadParameter("write a time like 24h, 30m, 90s, 7d or 0")
    return int(match["number"]) * UNITS[match["unit"] or "s"]


def client_name(text: str) -> str:
    """Return a client's name: short, printable, and neither an id nor a key.

    Error messages never repeat a possible key.
    """
    name = text.strip()
    if KEY_LIKE.match(name):
        raise click.BadParameter("that looks like a key; give the client a name")
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise click.BadParameter(f"a name has 1 to {MAX_NAME_LENGTH} printable characters")
    if CLIENT_ID.fullmatch(name):
        raise click.BadParameter("that looks like a client id; give the client a name")
    return name


def model_id(text: str) -> str:
    """Return a model's id, without characters that a comma-separated list cannot hold."""
    if not re.fullmatch(r"[^\s,]+", text):
        raise click.BadParameter("a model's id has no commas and no spaces")
    return text


def metadata(
    _context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, str]:
    """Return name=text pairs as a dict; BadParameter if the API would reject them."""
    if any(pair.find("=") < 1 for pair in pairs):
        raise click.BadParameter("write name=text")
    texts = dict(pair.split("=", 1) for pair in pairs)
    try:
        check_metadata({"metadata": texts})
    except BadRequest as error:
        raise click.BadParameter(error.message) from None
    return texts

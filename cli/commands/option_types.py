"""Types of option values."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import click

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhd]?)")
MAX_NANOS = 10**18  # a billion dollars
MAX_NAME_LENGTH = 64
CLIENT_ID = re.compile(r"[0-9a-f]{12}")
KEY_LIKE = re.compile(r"(sk|ak)[-_]")  # a key pasted instead of a name


class Usd(click.ParamType[int]):
    """US dollars, as whole nanodollars."""

    name = "usd"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return nanodollars; fails for anything but a positive amount."""
        try:
            nanos = Decimal(str(value)).scaleb(9)
            fits = 0 < nanos < MAX_NANOS and nanos == int(nanos)
        except InvalidOperation:
            fits = False
        if not fits:
            self.fail("write dollars above 0 with at most 9 decimals, like 25 or 0.50", param, ctx)
        return int(nanos)


class Duration(click.ParamType[int]):
    """A time like 24h, 30m, 90s, 7d or 0, in seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return seconds; fails for an invalid time."""
        match = DURATION.fullmatch(str(value))
        if not match or not (match["unit"] or int(match["number"]) == 0):
            self.fail("write a time like 24h, 30m, 90s, 7d or 0", param, ctx)
        return int(match["number"]) * UNITS[match["unit"] or "s"]


class ClientName(click.ParamType[str]):
    """A name for a client: short, printable, and neither an id nor a key."""

    name = "name"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the stripped name; error messages never repeat a possible key."""
        name = str(value).strip()
        if KEY_LIKE.match(name):
            self.fail("that looks like a key; give the client a name", param, ctx)
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            self.fail(f"a name has 1 to {MAX_NAME_LENGTH} printable characters", param, ctx)
        if CLIENT_ID.fullmatch(name):
            self.fail("that looks like a client id; give the client a name", param, ctx)
        return name


class Model(click.ParamType[str]):
    """A model id."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the id; fails for characters that a comma-separated list cannot hold."""
        if not re.fullmatch(r"[^\s,]+", str(value)):
            self.fail("a model's id has no commas and no spaces", param, ctx)
        return str(value)

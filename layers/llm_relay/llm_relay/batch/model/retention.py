"""How long contents are kept: never longer than the bucket keeps anything."""

from __future__ import annotations

import os

_DAY_SECONDS = 86_400


def retention_seconds(asked: int | None = None, days: int | None = None) -> int:
    """Return for how many seconds a file may be asked for; `days` is how long the bucket keeps it.

    Without `days`, the environment's CONTENT_RETENTION_DAYS says so.
    """
    most = (days or int(os.environ.get("CONTENT_RETENTION_DAYS", "30"))) * _DAY_SECONDS
    return min(asked, most) if asked else most

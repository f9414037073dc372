"""The Chromium of this machine: `python -m tests.browser.chromium` ends with 1 if there is none."""

from __future__ import annotations

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # which root has not
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example 127.0.0.1",  # as DNS may say of any name
]
MISSING = "There is no Chromium here. Debian: apt-get install chromium; else name one in CHROMIUM."


def find() -> str | None:
    """Return the path of the first there is; the variable CHROMIUM comes before all others."""
    names = (os.environ.get("CHROMIUM") or "", *NAMES)
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":
    sys.exit(0 if find() else MISSING)

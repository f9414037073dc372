"""Looks up the known weaknesses of everything that is pinned, in the database that is named."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import requests

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^ \\;]+)", re.MULTILINE)
SECONDS = 5
# So old that a database without a weakness of it does not tell the truth.
KNOWN_TO_BE_WEAK = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}
# The runtime's past releases, which the streaming shim is tested on, are old on purpose.
OLD = "awslambdaric"


def locked() -> list[Path]:
    """Every list of pins there is."""
    lists = [ROOT / "layers/dependencies/requirements.txt", *(ROOT / "requirements").rglob("*.txt")]
    return sorted(path for path in lists if path.parent.name != OLD)


def without_two_versions(lists: Iterable[Path]) -> Iterator[list[str]]:
    """All pins, as lists that name no package twice, which pip-audit does not take."""
    versions: dict[str, set[str]] = defaultdict(set)
    for path in lists:
        for pin in PIN.finditer(path.read_text()):
            versions[pin["name"]].add(pin["version"])
    for index in range(max(map(len, versions.values()))):
        named = {name: sorted(each) for name, each in sorted(versions.items()) if len(each) > index}
        yield [f"{name}=={each[index]}" for name, each in named.items()]


def why_not(url: str) -> str | None:
    """Why a database cannot be asked, or cannot be believed."""
    try:
        answer = requests.post(url, json=KNOWN_TO_BE_WEAK, timeout=SECONDS)
        is_true = answer.ok and answer.json().get("vulns")
    except (requests.RequestException, ValueError) as error:
        return type(error).__name__
    return None if is_true else f"status {answer.status_code}, and no weakness of an old jinja2"


def audit(url: str, pins: list[str]) -> int:
    """Ask for each pin; pip-audit prints what it finds."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(pins))
        wanted.flush()
        options = ["--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        database = ["--vulnerability-service", "osv", "--osv-url", url]
        program = [sys.executable, "-m", "pip_audit", *options, *database, "-r", wanted.name]
        quiet = os.environ | {"PIP_AUDIT_LOGLEVEL": "ERROR"}  # it advises hashes, which there are
        return subprocess.run(program, env=quiet, check=False).returncode  # noqa: S603


def main() -> int:
    """Audit; where that cannot be done, say so, and fail only if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="https://api.osv.dev/v1/query")
    parser.add_argument("--strict", action="store_true", help="fail if nothing can be looked up")
    parser.add_argument("lists", nargs="*", type=Path)
    asked = parser.parse_args()
    if why := why_not(asked.url):
        print(f"Nothing was audited: {asked.url} does not tell ({why}).")
        return int(asked.strict)
    lists = asked.lists or locked()
    pins = list(without_two_versions(lists))
    print(f"Auditing {sum(map(len, pins))} pins of {len(lists)} lists ...", flush=True)
    return max(audit(asked.url, each) for each in pins)


if __name__ == "__main__":
    sys.exit(main())

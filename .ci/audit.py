"""Checks all pinned packages against a vulnerability database."""

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
# A database that lists no vulnerability for this version is not usable.
KNOWN_VULNERABLE = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}
# Past releases of Lambda's runtime, on which the streaming shim is tested, are old on purpose.
TEST_RUNTIMES = "awslambdaric"


def lock_files() -> list[Path]:
    """Return the paths of all lists of pins."""
    lists = [ROOT / "layers/dependencies/requirements.txt", *(ROOT / "requirements").rglob("*.txt")]
    return sorted(path for path in lists if path.parent.name != TEST_RUNTIMES)


def split_by_version(lists: Iterable[Path]) -> Iterator[list[str]]:
    """Yield all pins, in lists with one version per package, as pip-audit requires."""
    versions: dict[str, set[str]] = defaultdict(set)
    for path in lists:
        for pin in PIN.finditer(path.read_text()):
            versions[pin["name"]].add(pin["version"])
    for index in range(max(map(len, versions.values()))):
        pins = {name: sorted(each) for name, each in sorted(versions.items()) if len(each) > index}
        yield [f"{name}=={each[index]}" for name, each in pins.items()]


def unavailable_reason(url: str) -> str | None:
    """Return why a database cannot be used, or None."""
    try:
        answer = requests.post(url, json=KNOWN_VULNERABLE, timeout=SECONDS)
        is_usable = answer.ok and answer.json().get("vulns")
    except (requests.RequestException, ValueError) as error:
        return type(error).__name__
    return (
        None if is_usable else f"status {answer.status_code}, and no vulnerability of an old jinja2"
    )


def audit(url: str, pins: list[str]) -> int:
    """Look up each pin; pip-audit prints what it finds."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(pins))
        wanted.flush()
        options = ["--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        database = ["--vulnerability-service", "osv", "--osv-url", url]
        program = [sys.executable, "-m", "pip_audit", *options, *database, "-r", wanted.name]
        quiet = os.environ | {"PIP_AUDIT_LOGLEVEL": "ERROR"}  # it advises hashes, which there are
        return subprocess.run(program, env=quiet, check=False).returncode  # noqa: S603


def main() -> int:
    """Audit; without a usable database print why, and fail only with --strict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="https://api.osv.dev/v1/query")
    parser.add_argument("--strict", action="store_true", help="fail if nothing can be looked up")
    parser.add_argument("lists", nargs="*", type=Path)
    arguments = parser.parse_args()
    if why := unavailable_reason(arguments.url):
        print(f"Nothing was audited: {arguments.url} is unavailable ({why}).")
        return int(arguments.strict)
    lists = arguments.lists or lock_files()
    pins = list(split_by_version(lists))
    print(f"Auditing {sum(map(len, pins))} pins of {len(lists)} lists ...", flush=True)
    return max(audit(arguments.url, each) for each in pins)


if __name__ == "__main__":
    sys.exit(main())

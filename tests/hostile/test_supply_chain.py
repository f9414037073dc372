"""What is installed: pinned, hashed, looked up, and reported."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYER = ROOT / "layers" / "dependencies" / "requirements.txt"
REQUIREMENTS = ROOT / "requirements"
OVERRIDES = REQUIREMENTS / "bench" / "overrides.txt"
LISTS = sorted({LAYER, *REQUIREMENTS.rglob("*.txt")} - {OVERRIDES})
PIN = re.compile(
    r"([a-z0-9.-]+)(?:\[[\w,]+\])?==([\w.!+]+)( ; .+)?(?: --hash=sha256:[0-9a-f]{64})+"
)
AUDIT = [ROOT / ".venv/audit/bin/python", ROOT / ".ci/audit.py"]

Hashes = dict[tuple[str, str], set[str]]


def pins(path: Path) -> list[str]:
    """The pins of a list, each on one line."""
    whole = re.sub(r" *\\\n *", " ", path.read_text())
    return [line for line in whole.splitlines() if line]


def hashes(path: Path) -> Hashes:
    found = [(PIN.fullmatch(line), line) for line in pins(path)]
    return {
        (pin[1], pin[2]): {*re.findall("sha256:(.+?)(?: |$)", line)} for pin, line in found if pin
    }


@pytest.mark.parametrize("path", LISTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_line_of_a_list_is_one_version_with_its_hashes(path: Path) -> None:
    assert pins(path)
    assert [line for line in pins(path) if not PIN.fullmatch(line)] == []


def test_every_requirements_file_is_locked_and_installed_with_hashes() -> None:
    wanted = [LAYER.with_suffix(".in"), *REQUIREMENTS.rglob("*.in")]
    assert {path.with_suffix(".txt") for path in wanted} <= {*LISTS}
    makefile = (ROOT / "Makefile").read_text()
    installs = [line for line in makefile.splitlines() if "pip install" in line]
    assert len(installs) >= 4
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_local_packages_are_those_that_run_on_lambda() -> None:
    layer, run, dev = (
        hashes(p) for p in (LAYER, REQUIREMENTS / "run.txt", REQUIREMENTS / "dev.txt")
    )
    assert len(layer) >= 5
    assert layer.items() <= run.items() <= dev.items()


def test_every_package_of_node_has_its_hash() -> None:
    lock = json.loads((ROOT / "tests/clients/package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert [
        n for n, p in packages.items() if not p.get("integrity", "").startswith("sha512-")
    ] == []


class Database:
    """A server with vulnerabilities of some packages, in the format of OSV."""

    def __init__(self, *vulnerable: str) -> None:
        self.asked: list[str] = []
        database = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["content-length"])))
                name = query["package"]["name"]
                database.asked.append(f"{name}=={query['version']}")
                body = json.dumps(
                    {"vulns": [vulnerability(name)]} if name in vulnerable else {}
                ).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/query"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Database:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def vulnerability(name: str) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "99"}]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}
    day = "2026-01-01T00:00:00Z"
    facts = {"summary": "bad", "details": "bad", "modified": day, "published": day}
    return facts | {"id": "PYSEC-2026-1", "affected": [affected]}


def audited(url: str, *options: str | Path) -> tuple[int, str]:
    program = [*AUDIT, "--url", url, *options]
    done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[list[Path]]:
    """Two lists that differ in one version."""
    paths = [tmp_path / "one.txt", tmp_path / "other.txt"]
    paths[0].write_text("urllib3==2.8.0 \\\n    --hash=sha256:00\nidna==3.20\n")
    paths[1].write_text('urllib3==2.7.0 ; sys_platform == "linux" \\\n    --hash=sha256:00\n')
    yield paths


def test_an_audit_queries_every_version_of_every_list(lists: list[Path]) -> None:
    with Database("jinja2") as database:
        code, output = audited(database.url, *lists)
    assert code == 0, output
    assert "3 pins of 2 lists" in output
    assert {*database.asked} >= {"idna==3.20", "urllib3==2.7.0", "urllib3==2.8.0"}


def test_an_audit_fails_for_a_known_vulnerability(lists: list[Path]) -> None:
    with Database("jinja2", "urllib3") as database:
        code, output = audited(database.url, *lists)
    assert code == 1
    assert "PYSEC-2026-1" in output


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_an_audit_without_an_answer_reports_it_and_fails_only_if_asked_to(
    strict: list[str],
) -> None:
    with Database() as gone:
        pass
    code, output = audited(gone.url, *strict)
    assert code == len(strict)
    assert output.count("\n") == 1
    assert output.startswith("Nothing was audited")


def test_a_database_without_known_vulnerabilities_is_rejected(lists: list[Path]) -> None:
    with Database() as database:
        code, output = audited(database.url, "--strict", *lists)
    assert code == 1
    assert output.startswith("Nothing was audited")


def test_a_bill_of_materials_has_every_pin_of_the_layer_with_its_hashes(tmp_path: Path) -> None:
    path = tmp_path / "layer.cdx.json"
    subprocess.run(["make", f"SBOM={tmp_path}", str(path)], cwd=ROOT, check=True)  # noqa: S603, S607
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "llm-relay"
    listed = {each["purl"]: listed_hashes(each) for each in bill["components"]}
    assert listed == {f"pkg:pypi/{n}@{v}": each for (n, v), each in hashes(LAYER).items()}


def listed_hashes(component: dict[str, Any]) -> set[str]:
    (where,) = component["externalReferences"]
    return {each["content"] for each in where["hashes"] if each["alg"] == "SHA-256"}

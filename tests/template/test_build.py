"""What `sam build` makes carries byte code that Lambda's Python uses as it is."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.stack import ROOT, logical_id

MAKE = shutil.which("make") or "make"
UNCHECKED_HASH = 1  # of the flags that follow the magic number
IN_1980 = 315532800  # seconds: the date of everything in SAM's zips

# Makefile, folder it runs in, target, where Lambda puts what it makes, a module of it.
OWN_LAYER = (
    "layers/llm_relay",
    "layers/llm_relay",
    "LlmRelayLayer",
    "/opt",
    "llm_relay.billing.money",
)
FUNCTION = ("functions", "functions/usage", logical_id("usage"), "/var/task", "handler")


@pytest.fixture(scope="module", params=[OWN_LAYER, FUNCTION], ids=lambda built: built[2])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """A folder for `import`, the module to import, and where Lambda has the folder."""
    makefile, folder, name, mount, module = request.param
    made = tmp_path_factory.mktemp(name)
    subprocess.run(  # noqa: S603 - our own Makefile
        [MAKE, "-f", ROOT / makefile / "Makefile", f"build-{name}", f"PYTHON={sys.executable}"],
        cwd=ROOT / folder,
        env=os.environ | {"ARTIFACTS_DIR": str(made)},
        check=True,
    )
    is_layer = (made / "python").exists()
    return (made / "python", module, f"{mount}/python") if is_layer else (made, module, mount)


def byte_code(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def says(folder: Path, module: str, expression: str) -> str:
    code = f"import {module}; print({expression})"
    command = [sys.executable, "-c", code]
    environ = os.environ | {"PYTHONPATH": f"{folder}:{ROOT / 'layers/llm_relay'}"}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout


def test_every_source_has_byte_code_that_is_never_checked(built: tuple[Path, str, str]) -> None:
    folder, _, _ = built
    sources = list(folder.rglob("*.py"))
    flags = {int.from_bytes(byte_code(source).read_bytes()[4:8], "little") for source in sources}
    assert sources
    assert flags == {UNCHECKED_HASH}


def test_there_is_no_byte_code_of_another_python(built: tuple[Path, str, str]) -> None:
    folder, _, _ = built
    made = {byte_code(source) for source in folder.rglob("*.py")}
    assert set(folder.rglob("*.pyc")) == made


def test_python_runs_the_byte_code_of_sources_dated_1980(built: tuple[Path, str, str]) -> None:
    folder, module, _ = built
    source = folder / f"{module.replace('.', '/')}.py"
    before = source.read_text()
    source.write_text("raise SystemExit('the source was read')")
    os.utime(source, (IN_1980, IN_1980))
    try:
        assert says(folder, module, f"{module}.__name__") == f"{module}\n"
    finally:
        source.write_text(before)


def test_byte_code_has_no_path_of_the_build_machine(
    built: tuple[Path, str, str],
) -> None:
    folder, module, mount = built
    code = byte_code(folder / f"{module.replace('.', '/')}.py").read_bytes()
    assert f"{mount}/{module.replace('.', '/')}.py".encode() in code
    assert str(folder).encode() not in code

"""Checks that `sam build` output has byte code that Lambda's Python uses unchanged."""
# ruff: noqa: S603, T201 - a script for the terminal, which starts the Python of the functions

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(__file__).parents[1] / ".aws-sam" / "build"
MAGIC = bytes([0xF3, 0x0D, 0x0D, 0x0A])  # of CPython 3.13
UNCHECKED_HASH = bytes([1, 0, 0, 0])
IN_1980 = 315532800  # seconds: the date of everything in SAM's zips
MEGABYTES_OF_LAYERS = 25
LOADED = """
import json, sys
sys.path[:0] = sys.argv[1:]
import handler
print(json.dumps([m.__name__ for m in list(sys.modules.values()) if getattr(m, "__file__", "")]))
"""


def without_byte_code(folder: Path) -> list[Path]:
    """Return the sources whose byte code is missing, of another Python, or checked at import."""
    return [
        source
        for source in folder.rglob("*.py")
        for cached in [source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"]
        if not cached.exists() or cached.read_bytes()[:8] != MAGIC + UNCHECKED_HASH
    ]


def make_sources_fail(folder: Path) -> None:
    """Replace every source by one that fails, dated as in SAM's zips."""
    for source in folder.rglob("*.py"):
        source.write_text("raise SystemExit(f'{__file__} was read, despite its byte code')")
        os.utime(source, (IN_1980, IN_1980))


def functions() -> list[Path]:
    """Return the folders of the functions."""
    return sorted(path for path in BUILD.iterdir() if path.name.endswith("Function"))


def layers() -> list[Path]:
    """Return the folders of the layers."""
    return sorted(path for path in BUILD.iterdir() if path.name.endswith("Layer"))


def modules_loaded(function: Path, copy: Path) -> list[str]:
    """Return the modules that a function imports, from a copy with byte code only."""
    folders = [copy / function.name, *(copy / layer.name / "python" for layer in layers())]
    command = ["python3.13", "-I", "-c", LOADED, *map(str, folders)]
    loaded: list[str] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return loaded


def megabytes(folders: list[Path]) -> float:
    """Return the size of all files in some folders."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6


def main() -> int:
    """Return 0 if every source has its byte code and Python runs it."""
    if wrong := without_byte_code(BUILD):
        print("No unchecked-hash byte code for:", *wrong, sep="\n  ")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(BUILD, Path(scratch) / "build"))
        make_sources_fail(copy)
        for function in functions():
            print(f"PASS  {function.name} runs on byte code: {len(modules_loaded(function, copy))}")
    size = megabytes(layers())
    print(f"The layers unpack to {size:.1f} MB of {MEGABYTES_OF_LAYERS}")
    return 0 if size <= MEGABYTES_OF_LAYERS else 1


if __name__ == "__main__":
    sys.exit(main())

"""Installs what is measured, each in its own environment: the built relay, peers from PyPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv" / "bench"
PINS = ROOT / "requirements" / "bench"
UV = ROOT / ".venv" / "bin" / "uv"
IN_1980 = 315532800  # seconds: the date of everything in SAM's zips


@dataclass(frozen=True, slots=True, kw_only=True)
class Installs:
    """Python as on Lambda, the folders to import from, and the LiteLLM proxy's own Python."""

    python: Path
    relay: tuple[Path, ...]
    responses: tuple[Path, ...]
    batch_plan: tuple[Path, ...]
    batch_worker: tuple[Path, ...]
    batch_assemble: tuple[Path, ...]
    layers: tuple[Path, ...]
    guide: tuple[Path, ...]
    openai: tuple[Path, ...]
    litellm: tuple[Path, ...]
    proxy: Path


def install() -> Installs:
    """Install what is missing or older than its pins, and rebuild the relay."""
    python = _environment("runtime")
    layers = tuple(
        _built(python, folder, folder, name) / "python"
        for folder, name in (
            ("layers/dependencies", "DependenciesLayer"),
            ("layers/llm_relay", "LlmRelayLayer"),
        )
    )
    functions = {
        name: (_built(python, "functions", f"functions/{name}", f"{logical_id}Function"), *layers)
        for name, logical_id in (
            ("chat_completions", "ChatCompletions"),
            ("responses", "Responses"),
            ("batch_plan", "BatchPlan"),
            ("batch_worker", "BatchWorker"),
            ("batch_assemble", "BatchAssemble"),
        )
    }
    return Installs(
        python=python,
        relay=functions["chat_completions"],
        responses=functions["responses"],
        batch_plan=functions["batch_plan"],
        batch_worker=functions["batch_worker"],
        batch_assemble=functions["batch_assemble"],
        layers=layers,
        guide=(_peer_function("guide"),),
        openai=(_peer_function("openai"),),
        litellm=(_peer_function("litellm"),),
        proxy=_environment("proxy").with_name("litellm"),
    )


def _environment(name: str) -> Path:
    """Return the Python of a virtual environment with some pins installed."""
    place, pins = FOLDER / name, PINS / f"{name}.txt"
    python, ready = place / "bin" / "python", place / "ready"
    if _is_older(ready, pins):
        _run(UV, "venv", "--quiet", "--clear", "--seed", "--python", lambda_python(), place)
        _run(UV, "pip", "install", "--quiet", "--compile-bytecode", "--no-deps",
             "--require-hashes",
             "--python", python, "-r", pins)  # fmt: skip
        ready.touch()
    return python


def _peer_function(name: str) -> Path:
    """Return a function's folder as SAM ships it: packages without byte code, dated 1980."""
    place, pins, handler = FOLDER / name, PINS / f"{name}.txt", _handler(name)
    if _is_older(place / "handler.py", pins) or _is_older(place / "handler.py", handler):
        shutil.rmtree(place, ignore_errors=True)
        _run(UV, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python",
             FOLDER / "runtime" / "bin" / "python", "--target", place, "-r", pins)  # fmt: skip
        _date_1980(place)
        shutil.copyfile(handler, place / "handler.py")
    return place


def _handler(name: str) -> Path:
    return next((ROOT / "bench" / "peers").glob(f"{name}*.py"))


def _built(python: Path, makefile: str, folder: str, name: str) -> Path:
    """Return what `sam build` makes of a layer or a function: it runs the same Makefile."""
    made = FOLDER / "build" / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    _run("make", "-s", "-f", ROOT / makefile / "Makefile", f"build-{name}", f"PYTHON={python}",
         cwd=ROOT / folder, ARTIFACTS_DIR=str(made))  # fmt: skip
    _date_1980(made)
    return made


def _date_1980(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (IN_1980, IN_1980))


def _is_older(made: Path, source: Path) -> bool:
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def _run(*command: str | Path, cwd: Path = ROOT, **environ: str) -> None:
    subprocess.run(list(map(str, command)), cwd=cwd, env=os.environ | environ, check=True)  # noqa: S603


def lambda_python() -> str:
    """Return the CPython that Lambda runs, if there is one, else this one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = ["python3.13", *map(str, pyenv.glob("3.13.*/bin/python3.13"))]
    return next(filter(_works, candidates), sys.executable)


def _works(python: str) -> bool:
    """Tell whether a Python runs: a shim of pyenv is on the PATH, but not always selected."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0  # noqa: S603

"""The files around the project: workflow, hooks, changelog and scan."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from tests.docs.blocks import ROOT, blocks_of, pages

MAKEFILE = (ROOT / "Makefile").read_text()
CI = (ROOT / ".ci" / "run").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
# Targets that pages name and CI does not call, and why that is no gap.
SHOWN_OTHERWISE = {
    "run": "tests/e2e/test_commands.py",
    "demo": "tests/e2e/test_commands.py",
    "bench": "bench/README.md",  # wants a quiet machine
    "start-api": ".ci/sam_local.py",
    "sam-backends": ".ci/sam_local.py",
}


def steps() -> list[Any]:
    jobs = [job for path in WORKFLOWS for job in read(path)["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def read(path: Any) -> Any:
    return yaml.safe_load(path.read_text())


def commands(jobs: list[Any]) -> list[str]:
    runs = [step.get("run", "") for job in jobs for step in job["steps"]]
    return [line for run in runs for line in run.splitlines()]


def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines()]
    uses = [line.strip().removeprefix("- ") for line in lines if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.fullmatch(line)] == []


def test_workflows_may_read_and_only_the_site_s_job_may_write() -> None:
    assert [read(path)["permissions"] for path in WORKFLOWS] == [{"contents": "read"}] * 2
    jobs = [job for path in WORKFLOWS for job in read(path)["jobs"].items()]
    more = {name: job["permissions"] for name, job in jobs if "permissions" in job}
    assert more == {"publish": {"pages": "write", "id-token": "write"}}
    assert "${{ secrets." not in "".join(path.read_text() for path in WORKFLOWS)
    kept = [s for s in steps() if s.get("uses", "").startswith("actions/checkout@")]
    assert [s for s in kept if s["with"]["persist-credentials"] is not False] == []


def test_workflows_call_existing_targets_and_every_ci_target() -> None:
    check = commands([read(WORKFLOWS[0])["jobs"]["check"]])
    called = [re.findall(r"^make ([\w-]+)(?: \w+=\S+)*$", command) for command in check]
    targets = {target for found in called for target in found}
    assert [command for command, found in zip(check, called, strict=True) if not found] == []
    assert [target for target in targets if not is_target(target)] == []
    assert targets == set(re.findall(r"^ *make ([\w-]+)", CI, re.MULTILINE))


def test_a_workflow_has_the_python_of_the_functions_and_the_oldest_that_serves() -> None:
    steps_of_check = read(WORKFLOWS[0])["jobs"]["check"]["steps"]
    (python,) = [s for s in steps_of_check if "setup-python@" in s.get("uses", "")]
    versions = python["with"]["python-version"].split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = re.findall(r"Runtime: python([\d.]+)", (ROOT / "template.yaml").read_text())
    assert versions == [*runtime, project["requires-python"].removeprefix(">=")]


def test_every_target_that_a_page_names_is_one_that_something_runs() -> None:
    named = {
        word
        for page in pages()
        for block in blocks_of(page)
        for words in block.commands("make")
        for word in words
        if "=" not in word
    }
    for target in named - {*re.findall(r"^ *make ([\w-]+)", CI, re.MULTILINE)}:
        assert f"$(MAKE) {target}" in MAKEFILE or (ROOT / SHOWN_OTHERWISE[target]).is_file()


def is_target(name: str) -> bool:
    return re.search(rf"^{name}:.* ## ", MAKEFILE, re.MULTILINE) is not None


def test_ci_checks_the_documented_sam_commands_with_sam() -> None:
    assert ".ci/sam_commands.py" in CI


def test_hooks_run_what_make_check_runs() -> None:
    config = read(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    for hook in hooks:
        program, *words = hook["entry"].removeprefix(".venv/bin/").split()
        plain = " ".join([program, *(word for word in words if not word.startswith("-"))])
        assert f"$(BIN)/{plain}" in MAKEFILE


def test_the_changelog_has_an_entry_for_the_current_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[:2] == ["Unreleased", version]


def test_the_security_scan_skips_nothing_without_a_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text().splitlines()
    left_out = [line for line in lines if "CKV" in line]
    assert left_out
    assert [line for line in left_out if not re.fullmatch(r"  - CKV_AWS_\d+ # .{4,}", line)] == []
    written = (ROOT / "template.yaml").read_text()
    assert written.count("CKV_") == len(
        re.findall(r"\{id: CKV_AWS_\d+, comment: .{10,}?\}", written)
    )

"""`relay batch submit` through the whole local stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RelayRunner


def test_a_file_becomes_a_file_of_answers(runner: RelayRunner, tmp_path: Path) -> None:
    file, output = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row(number)) + "\n" for number in range(20)))
    words = ("--endpoint", "/v1/chat/completions", "--yes", "--wait", "--output", str(output))
    done = runner.relay("batch", "submit", str(file), *words)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    answers = {line["custom_id"]: line["response"]["body"] for line in lines}
    assert len(lines) == len(answers) == 20
    for number in range(20):
        message = answers[f"row-{number}"]["choices"][0]["message"]
        assert message["content"] == f"number {number}"
    shown = runner.json("batch", "show", done.stdout.split()[0])
    assert shown["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert f"${shown['cost_usd']:g}" in done.stdout


def row(number: int) -> dict[str, Any]:
    message = {"role": "user", "content": f"Reply with: number {number}"}
    body = {"model": "abliterated-model", "messages": [message], "max_tokens": 50}
    url = "/v1/chat/completions"
    return {"custom_id": f"row-{number}", "method": "POST", "url": url, "body": body}

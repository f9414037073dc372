"""Records the README's quickstart as an asciinema cast: `make run`, then its Python block.

Takes the path of the cast. Only two things are changed: waits are cut to MAX_WAIT_SECONDS, and
the project's folder is called ~/llm-relay.
"""

from __future__ import annotations

import json
import os
import pty
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS, ROWS = 110, 32
LINE_SECONDS, PAUSE_SECONDS, MAX_WAIT_SECONDS = 0.3, 2.5, 0.8
PROMPT = "\x1b[32m$\x1b[0m "
BLOCK = re.compile(r"```sh\n(\.venv/bin/python - <<'EOF'\n.*?)```", re.DOTALL)
ENVIRONMENT = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}


class Cast:
    """An asciinema cast, version 2."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._lines: list[object] = [{"version": 2, "width": COLUMNS, "height": ROWS}]

    def add(self, text: str, seconds: float) -> None:
        """Add output that appears so many seconds after the last one."""
        self._seconds += seconds
        self._lines.append([round(self._seconds, 3), "o", text])

    def type(self, command: str) -> None:
        """Add a command, line by line."""
        self.add(PROMPT, PAUSE_SECONDS / 2)
        for line in command.splitlines():
            self.add(f"{line}\r\n", LINE_SECONDS)

    def follow(self, terminal: int, until: str) -> None:
        """Add what a terminal prints, until it has printed a text or is closed."""
        shown, last = "", time.monotonic()
        while not until or until not in shown:
            try:
                text = os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # closed by the last process
                break
            now = time.monotonic()
            self.add(text.replace(str(ROOT), "~/llm-relay"), min(now - last, MAX_WAIT_SECONDS))
            shown, last = shown + text, now
        self.add("", PAUSE_SECONDS)

    def write(self, path: Path) -> None:
        """Write the cast to a file."""
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self._lines))


def start(command: str) -> tuple[int, int]:
    """Run a command in a new terminal; return the process id and the terminal."""
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(ROOT)
        outer = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        os.execvpe("bash", ["bash", "-c", command], outer | ENVIRONMENT)  # noqa: S606, S607
    return process_id, terminal


def main(path: str) -> None:
    """Record the quickstart."""
    cast = Cast()
    cast.type("make run")
    stack, stack_terminal = start("make run")
    cast.follow(stack_terminal, "Ctrl-C ends it")
    (block,) = BLOCK.findall((ROOT / "README.md").read_text())
    cast.type(block)
    client, client_terminal = start(block)
    cast.follow(client_terminal, "")
    os.waitpid(client, 0)
    os.write(stack_terminal, b"\x03")  # Ctrl-C
    os.waitpid(stack, 0)
    cast.write(Path(path))


if __name__ == "__main__":
    main(sys.argv[1])

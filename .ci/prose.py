"""Checks documents, comments, messages and names for the words in docs/contributing/words.yml."""

import io
import os
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINTER = Path(__file__).parent / "prose"
DOCUMENTS = ("*.md", "docs/*.md", "bench/*.md", ":!docs/contributing/style.md")
PLAIN = (
    "template.yaml",
    "statemachines/*.json",
    "docs/openapi.yaml",
    "functions/*.html",
    "Makefile",
)
CODE = ("cli/*.py", "layers/*.py", "functions/*.py")
CODE_WITH_NAMES = ("local/*.py", ".ci/*.py", "bench/*.py", "tests/*.py")  # whose names are checked
PROSE = {
    getattr(tokenize, name)
    for name in ("COMMENT", "STRING", "FSTRING_MIDDLE")
    if hasattr(tokenize, name)
}


def tracked(patterns: tuple[str, ...]) -> list[str]:
    """Return the paths of the project's files that match."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    return subprocess.check_output(listed, cwd=ROOT, text=True).splitlines()  # noqa: S603


def prose(source: str, *, with_names: bool) -> str:
    """Return the comments and strings of a module, and the words of its names, on their lines."""
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if with_names and token.type == tokenize.NAME:
            lines[token.start[0] - 1] += f" {token.string.replace('_', ' ')};"
        if token.type in PROSE:
            for number, text in enumerate(token.string.splitlines(), token.start[0] - 1):
                lines[number] += f" {text}"
    return "\n".join(lines)


def write_copy(path: str, text: str) -> str:
    """Write a file's prose where the linter reads plain text, and return its name."""
    copy = Path(f"{path}.txt")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text)
    return str(copy)


def main() -> int:
    """Print `path:line:column: word => better word`; return 1 if there is any."""
    texts = {path: (ROOT / path).read_text() for path in tracked(PLAIN)}
    for paths, with_names in ((CODE, False), (CODE_WITH_NAMES, True)):
        for path in tracked(paths):
            texts[path] = prose((ROOT / path).read_text(), with_names=with_names)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        copies = [write_copy(path, text) for path, text in texts.items()]
        documents = [str(ROOT / path) for path in tracked(DOCUMENTS)]
        program = str(LINTER / "node_modules" / ".bin" / "textlint")
        config = str(LINTER / "textlintrc.json")
        run = subprocess.run(  # noqa: S603
            [program, "--config", config, "--format", "unix", *documents, *copies],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(run.stdout.replace(f"{folder}/", "").replace(".txt:", ":").replace(f"{ROOT}/", ""))
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())

"""Runs functions with `sam local` against the simulator, without a provider key.

sam_functions.py invoke EVENT    invoke the function of a sample event, and print its answer
sam_functions.py start-api PORT  serve the API until Ctrl-C
"""
# ruff: noqa: S603, S607 - it runs the SAM CLI, from the PATH

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

from sam_backends import Backends, backends
from sample_events import EVENTS, ROOT, Case, Json

USAGE_ERROR = 2
EXAMPLE = "events/chat_completions/example_payloads.json"
CLIENT_KEY = "sk-relay-local-000000000000000000000000"
MESSAGE = {"role": "user", "content": "Reply with: it works"}
BODY = json.dumps({"model": "abliterated-model", "messages": [MESSAGE]})


def find_case(event: str) -> Case:
    """Return the sample event at a path; exit with a message if there is none."""
    path = (ROOT / event).resolve()
    if event and path.is_file() and path.parent.parent == EVENTS:
        return Case(path=path)
    folders = ", ".join(sorted(each.name for each in EVENTS.iterdir() if each.is_dir()))
    print(f"There is no sample event {event}" if event else "EVENT is missing", file=sys.stderr)
    print(f"Try: make invoke EVENT={EXAMPLE}", file=sys.stderr)
    print(f"The folders of events/ are: {folders}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def invoke(running: Backends, case: Case) -> int:
    """Invoke a function with `sam local invoke`; print its answer; return the exit code."""
    command = ("sam", "local", "invoke", case.function, "-e", str(case.path), *running.options())
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    try:
        print(readable(json.loads(done.stdout)))
    except ValueError:
        print(done.stdout.decode(), end="")
        return done.returncode or 1
    return done.returncode


def readable(result: Json | str | list[Json]) -> str:
    """Return the answer of a function for people: the HTTP status and body, or indented JSON."""
    if not isinstance(result, dict) or "statusCode" not in result:
        return json.dumps(result, indent=2)
    body = str(result.get("body", ""))
    with suppress(ValueError):  # an event stream, or a page
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return f"HTTP {result['statusCode']}\n{body}"


def start_api(running: Backends, port: str) -> int:
    """Serve the API with `sam local start-api` until Ctrl-C; return the exit code."""
    print(
        f"In a second terminal:\n\ncurl http://127.0.0.1:{port}/v1/chat/completions"
        f" -H 'authorization: Bearer {CLIENT_KEY}' -H 'content-type: application/json'"
        f" -d '{BODY}'\n",
        flush=True,
    )
    command = ("sam", "local", "start-api", "--port", port, *running.options())
    server = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    for ending in (signal.SIGINT, signal.SIGTERM):  # a single SIGTERM: SAM removes its containers
        signal.signal(ending, lambda *_: server.terminate())
    return max(server.wait(), 0)


def main(words: list[str]) -> int:
    """Run a command; return its exit code."""
    for program in ("sam", "docker"):
        if not shutil.which(program):
            sys.exit(f"This needs {program} on the PATH; see docs/how-to/sam-local.md")
    match words:
        case ["invoke", *event]:
            case = find_case(" ".join(event))
            with backends() as running:
                return invoke(running, case)
        case ["start-api", port]:
            with backends() as running:
                return start_api(running, port)
    print(__doc__, file=sys.stderr)
    return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

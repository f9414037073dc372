"""Runs every sample event in SAM's own Lambda, against a provider and an AWS on this host."""
# ruff: noqa: S603 - it starts the commands that it tests

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, TypeAlias

from outcomes import check
from sam_backends import Backends, backends
from sample_events import EVENTS, ROOT, Case, Json, cases, check_answer
from serving import LOG, LOOPBACK, free_port, running, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CALL_SECONDS = 120
FUNCTIONS_AT_ONCE = 3  # more, and they start so slowly that some run into their own timeouts
LOG_TAIL_CHARACTERS = 6000
MAKE_EVENT = "chat_completions/example_payloads.json"
SAM = shutil.which("sam") or sys.exit("There is no sam on the PATH; .ci/run installs it")
DOCKER = shutil.which("docker") or sys.exit("There is no docker on the PATH, which SAM runs on")

Invoke: TypeAlias = "Callable[[Case], Json]"


def post(address: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Send one POST request; return the status and the body."""
    connection = HTTPConnection(address, timeout=CALL_SECONDS)
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def invoke_by_start_lambda(address: str, case: Case) -> Json:
    """Invoke a function as an AWS SDK would."""
    path = f"/2015-03-31/functions/{case.function}/invocations"
    result: Json = json.loads(post(address, path, case.path.read_bytes(), {})[1])
    return result


def invoke_by_start_api(address: str, case: Case) -> Json:
    """Send the request of an event over HTTP."""
    event = case.event
    body = event["body"].encode()
    sent = base64.b64decode(body) if event["isBase64Encoded"] else body
    status, answer = post(address, event["path"], sent, event["headers"])
    return {"statusCode": status, "body": answer}


def invoke_by_command(options: tuple[str, ...], case: Case) -> Json:
    """Invoke a function by the command that a developer types."""
    command = (SAM, "local", "invoke", case.function, "-e", str(case.path), *options)
    with LOG.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
    with process:  # always wait for the process: a killed one leaves its container running
        try:
            output, _ = process.communicate(timeout=CALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    result: Json = json.loads(output)
    return result


class SampleEventRun:
    """Runs every sample event by each of SAM's methods, against the same backends."""

    def __init__(self, services: Backends) -> None:
        self._aws = services.aws
        self._options = services.options()
        self._groups = by_function()

    def run(self) -> bool:
        """Invoke every event by start-lambda, one of each function by invoke, and two by HTTP.

        Returns whether all passed.
        """
        methods = (self._by_invoke, self._by_start_lambda, self._by_start_api)
        results = []
        for method in methods:
            self._aws.fill()
            results.append(method())
        return all(results)

    def _by_invoke(self) -> bool:
        invoke = partial(invoke_by_command, self._options)
        return self._concurrently("invoke", invoke, [group[:1] for group in self._groups])

    def _by_start_lambda(self) -> bool:
        command = (SAM, "local", "start-lambda", "--warm-containers", "LAZY", *self._options)
        with serving(LOOPBACK, *command) as address:
            invoke = partial(invoke_by_start_lambda, address)
            return self._concurrently("start-lambda", invoke, self._groups)

    def _by_start_api(self) -> bool:
        """Send requests through SAM's API Gateway, authorizer included."""
        sent = ("chat_completions/example_payloads.json", "files/create.json")
        chosen = [case for case in cases() if str(case.path.relative_to(EVENTS)) in sent]
        command = (SAM, "local", "start-api", *self._options)
        with serving(LOOPBACK, *command) as address:
            return self._all_pass("start-api", partial(invoke_by_start_api, address), chosen)

    def _concurrently(self, method: str, invoke: Invoke, groups: list[list[Case]]) -> bool:
        """Invoke functions concurrently, the events of each in turn; return whether all passed."""
        with ThreadPoolExecutor(FUNCTIONS_AT_ONCE) as pool:
            return all(list(pool.map(partial(self._all_pass, method, invoke), groups)))

    def _all_pass(self, method: str, invoke: Invoke, chosen: Iterable[Case]) -> bool:
        results = [self._passes(method, invoke, case) for case in chosen]
        return all(results)

    def _passes(self, method: str, invoke: Invoke, case: Case) -> bool:
        """Invoke one case, print the result, and return whether it passed."""
        name = f"{method:<12} {case.path.relative_to(EVENTS)}"
        try:
            wrong = check(case, invoke(case), self._aws.bucket)
        except (OSError, ValueError, LookupError, HTTPException, subprocess.SubprocessError) as e:
            wrong = repr(e)
        print(f"FAIL  {name}  {wrong}" if wrong else f"PASS  {name}", flush=True)
        return not wrong


def run_make_start_api() -> bool:
    """Return whether `make start-api` answers."""
    (case,) = [each for each in cases() if str(each.path.relative_to(EVENTS)) == MAKE_EVENT]
    port = free_port(LOOPBACK)
    with running(LOOPBACK, port, "make", "start-api", f"PORT={port}") as address:
        answer = invoke_by_start_api(address, case)
    wrong = check_answer(case, answer)
    print(f"FAIL  make start-api  {wrong}" if wrong else "PASS  make start-api", flush=True)
    return not wrong


def by_function() -> list[list[Case]]:
    """Return the cases, a list for each function."""
    groups: dict[str, list[Case]] = {}
    for case in cases():
        groups.setdefault(case.function, []).append(case)
    return list(groups.values())


def remove_containers() -> None:
    """Remove the containers that SAM named in its log, if any are left."""
    ids = re.findall(r"SAM_CONTAINER_ID: (\w+)", LOG.read_text(errors="replace"))
    listed = subprocess.run([DOCKER, "ps", "-aq", "--no-trunc"], stdout=subprocess.PIPE, check=True)
    left = set(ids) & set(listed.stdout.decode().split())
    if left:
        subprocess.run([DOCKER, "rm", "-f", *left], stdout=subprocess.DEVNULL, check=True)


def main() -> int:
    """Return 0 if every event had its expected result."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is stopped then too
    LOG.write_bytes(b"")
    try:
        with backends() as services:
            succeeded = SampleEventRun(services).run()
        succeeded = run_make_start_api() and succeeded
    finally:
        remove_containers()
    if not succeeded:
        print(f"The end of {LOG}:\n{LOG.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}")
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())

"""Runs every sample event in SAM's own Lambda, against a provider and an AWS on this host."""
# ruff: noqa: S603 - it starts the commands it proves

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

from outcomes import complaint
from sam_backends import Backends, backends
from sample_events import EVENTS, ROOT, Case, Json, answer_complaint, cases
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


def through_start_lambda(address: str, case: Case) -> Json:
    """Invoke a function as an AWS SDK would."""
    path = f"/2015-03-31/functions/{case.function}/invocations"
    result: Json = json.loads(post(address, path, case.path.read_bytes(), {})[1])
    return result


def through_start_api(address: str, case: Case) -> Json:
    """Send the request of an event over HTTP."""
    event = case.event
    body = event["body"].encode()
    sent = base64.b64decode(body) if event["isBase64Encoded"] else body
    status, answer = post(address, event["path"], sent, event["headers"])
    return {"statusCode": status, "body": answer}


def through_invoke(options: tuple[str, ...], case: Case) -> Json:
    """Invoke a function by the command that a developer types."""
    command = (SAM, "local", "invoke", case.function, "-e", str(case.path), *options)
    with LOG.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
    with process:  # whatever happens, its end is waited for: cut short, it leaves its container
        try:
            output, _ = process.communicate(timeout=CALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    result: Json = json.loads(output)
    return result


class Proof:
    """Every sample event, by each of SAM's ways, against the same backends."""

    def __init__(self, services: Backends) -> None:
        self._aws = services.aws
        self._options = services.options()
        self._groups = by_function()

    def succeeds(self) -> bool:
        """Invoke every event by start-lambda, one of each function by invoke, and two by HTTP."""
        ways = (self._by_invoke, self._by_start_lambda, self._by_start_api)
        results = []
        for way in ways:
            self._aws.fill()
            results.append(way())
        return all(results)

    def _by_invoke(self) -> bool:
        invoke = partial(through_invoke, self._options)
        return self._side_by_side("invoke", invoke, [group[:1] for group in self._groups])

    def _by_start_lambda(self) -> bool:
        command = (SAM, "local", "start-lambda", "--warm-containers", "LAZY", *self._options)
        with serving(LOOPBACK, *command) as address:
            invoke = partial(through_start_lambda, address)
            return self._side_by_side("start-lambda", invoke, self._groups)

    def _by_start_api(self) -> bool:
        """Send requests through SAM's API Gateway, authorizer included."""
        sent = ("chat_completions/example_payloads.json", "files/create.json")
        chosen = [case for case in cases() if str(case.path.relative_to(EVENTS)) in sent]
        command = (SAM, "local", "start-api", *self._options)
        with serving(LOOPBACK, *command) as address:
            return self._all_pass("start-api", partial(through_start_api, address), chosen)

    def _side_by_side(self, way: str, invoke: Invoke, groups: list[list[Case]]) -> bool:
        """Invoke functions side by side, the events of each in turn; return whether all passed."""
        with ThreadPoolExecutor(FUNCTIONS_AT_ONCE) as pool:
            return all(list(pool.map(partial(self._all_pass, way, invoke), groups)))

    def _all_pass(self, way: str, invoke: Invoke, chosen: Iterable[Case]) -> bool:
        results = [self._passes(way, invoke, case) for case in chosen]
        return all(results)

    def _passes(self, way: str, invoke: Invoke, case: Case) -> bool:
        """Invoke one case, print how it went, and return whether it went well."""
        name = f"{way:<12} {case.path.relative_to(EVENTS)}"
        try:
            wrong = complaint(case, invoke(case), self._aws.bucket)
        except (OSError, ValueError, LookupError, HTTPException, subprocess.SubprocessError) as e:
            wrong = repr(e)
        print(f"FAIL  {name}  {wrong}" if wrong else f"PASS  {name}", flush=True)
        return not wrong


def make_start_api_succeeds() -> bool:
    """Return whether `make start-api` answers."""
    (case,) = [each for each in cases() if str(each.path.relative_to(EVENTS)) == MAKE_EVENT]
    port = free_port(LOOPBACK)
    with running(LOOPBACK, port, "make", "start-api", f"PORT={port}") as address:
        answer = through_start_api(address, case)
    wrong = answer_complaint(case, answer)
    print(f"FAIL  make start-api  {wrong}" if wrong else "PASS  make start-api", flush=True)
    return not wrong


def by_function() -> list[list[Case]]:
    """Return the cases, a list for each function."""
    groups: dict[str, list[Case]] = {}
    for case in cases():
        groups.setdefault(case.function, []).append(case)
    return list(groups.values())


def remove_containers() -> None:
    """Remove the containers that SAM named in its log, should any be left."""
    ids = re.findall(r"SAM_CONTAINER_ID: (\w+)", LOG.read_text(errors="replace"))
    listed = subprocess.run([DOCKER, "ps", "-aq", "--no-trunc"], stdout=subprocess.PIPE, check=True)
    left = set(ids) & set(listed.stdout.decode().split())
    if left:
        subprocess.run([DOCKER, "rm", "-f", *left], stdout=subprocess.DEVNULL, check=True)


def main() -> int:
    """Return 0 if every event did what it should."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is stopped then too
    LOG.write_bytes(b"")
    try:
        with backends() as services:
            proven = Proof(services).succeeds()
        proven = make_start_api_succeeds() and proven
    finally:
        remove_containers()
    if not proven:
        print(f"The end of {LOG}:\n{LOG.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())

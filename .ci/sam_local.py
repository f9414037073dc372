"""Runs every sample event in SAM's own Lambda, against the provider simulator on this host."""
# ruff: noqa: S603, T201 - a script for the terminal, which starts the commands it proves

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sample_events import EVENTS, ROOT, Case, Json, cases, complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BRIDGE = "172.17.0.1"  # this host, as Docker's containers see it
LOOPBACK = "127.0.0.1"
PROVIDER_KEY = "ak_local_simulator_0000000000000000"
START_SECONDS = 60
CALL_SECONDS = 120
LOG = ROOT / ".aws-sam" / "local.log"
LOG_TAIL_CHARACTERS = 6000
SAM = shutil.which("sam") or sys.exit("There is no sam on the PATH; .ci/run installs it")
DOCKER = shutil.which("docker") or sys.exit("There is no docker on the PATH, which SAM runs on")

Invoke: TypeAlias = "Callable[[Case], Json]"


@contextmanager
def serving(host: str, *command: str) -> Iterator[str]:
    """Run a server for the block, and yield its address once it listens."""
    port = free_port(host)
    listen = ("--host", host, "--port", str(port))
    with LOG.open("ab") as log:
        process = subprocess.Popen([*command, *listen], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until_listening(process, host, port)
        yield f"{host}:{port}"
    finally:
        process.terminate()  # upon SIGTERM, SAM's servers remove their containers
        process.wait(START_SECONDS)


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Return as soon as the port answers; RuntimeError if it never does."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Nothing listens on {host}:{port} after: {process.args!r}")


def post(address: str, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Send one POST request; return the status and the body."""
    connection = HTTPConnection(address, timeout=CALL_SECONDS)
    try:
        connection.request("POST", path, body.encode(), dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def through_start_lambda(address: str, case: Case) -> Json:
    """Invoke a function as an AWS SDK would."""
    path = f"/2015-03-31/functions/{case.function}/invocations"
    result: Json = json.loads(post(address, path, case.path.read_text(), {})[1])
    return result


def through_start_api(address: str, case: Case) -> Json:
    """Send the request of an event over HTTP."""
    event = case.event
    status, body = post(address, event["path"], event["body"], event["headers"])
    return {"statusCode": status, "body": body}


def through_invoke(variables: str, case: Case) -> Json:
    """Invoke a function by the command that a developer types."""
    command = (SAM, "local", "invoke", case.function, "-e", str(case.path), "-n", variables)
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


def passes(way: str, invoke: Invoke, case: Case) -> bool:
    """Invoke one case, print how it went, and return whether it went well."""
    name = f"{way:<12} {case.path.relative_to(EVENTS)}"
    try:
        wrong = complaint(case, invoke(case))
    except (OSError, ValueError, LookupError, HTTPException, subprocess.SubprocessError) as error:
        wrong = repr(error)
    print(f"FAIL  {name}  {wrong}" if wrong else f"PASS  {name}", flush=True)
    return not wrong


def all_pass(way: str, invoke: Invoke, chosen: Iterable[Case]) -> bool:
    """Invoke cases one after the other; return whether all went well."""
    results = [passes(way, invoke, case) for case in chosen]
    return all(results)


def every_event_passes(groups: list[list[Case]], variables: str) -> bool:
    """Invoke every event: functions side by side, the events of each in turn."""
    command = (SAM, "local", "start-lambda", "--warm-containers", "LAZY", "-n", variables)
    with ThreadPoolExecutor(len(groups)) as pool, serving(LOOPBACK, *command) as address:
        invoke = partial(through_start_lambda, address)
        return all(list(pool.map(partial(all_pass, "start-lambda", invoke), groups)))


def http_passes(case: Case, variables: str) -> bool:
    """Send one event's request through SAM's API Gateway, authorizer included."""
    with serving(LOOPBACK, SAM, "local", "start-api", "-n", variables) as address:
        return passes("start-api", partial(through_start_api, address), case)


def by_function() -> list[list[Case]]:
    """Return the cases, a list for each function."""
    groups: dict[str, list[Case]] = {}
    for case in cases():
        groups.setdefault(case.function, []).append(case)
    return list(groups.values())


def proof(base_url: str, directory: Path) -> bool:
    """Invoke every event by start-lambda, one of each function by invoke, and one by HTTP."""
    values = {
        "ABLIT_KEY": PROVIDER_KEY,
        "UPSTREAM_BASE_URL": base_url,
        "PROVIDER_KEY_SECRET_ARN": "",
    }
    env_file = directory / "env.json"
    env_file.write_text(json.dumps({"Parameters": values}))
    variables = str(env_file)
    groups = by_function()
    chat = next(case for group in groups for case in group if case.path.stem == "example_payloads")
    one_each = [group[0] for group in groups]
    return all(
        [
            all_pass("invoke", partial(through_invoke, variables), one_each),
            every_event_passes(groups, variables),
            http_passes(chat, variables),
        ]
    )


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
    provider = (sys.executable, "-m", "local.provider")
    try:
        with tempfile.TemporaryDirectory() as directory, serving(BRIDGE, *provider) as address:
            proven = proof(f"http://{address}/v1", Path(directory))
    finally:
        remove_containers()
    if not proven:
        print(f"The end of {LOG}:\n{LOG.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())

"""The LiteLLM proxy as a process, in front of the same provider."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.environment.answers import MODEL
from bench.environment.environment import PROVIDER_KEY, BenchContext
from bench.environment.runtime_api import cpu_seconds_of

START_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that serves."""

    base_url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time of its process so far, in steps of 10 ms."""
        return cpu_seconds_of(self.pid)


@contextmanager
def litellm_proxy(context: BenchContext) -> Iterator[Proxy]:
    """Run the proxy for a block, with one worker and nothing switched on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = context.scratch / "litellm.json"  # JSON is YAML
    parameters = {"model": f"openai/{MODEL}", "api_base": context.base_url, "api_key": PROVIDER_KEY}
    config.write_text(
        json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": parameters}]})
    )
    command = [context.installs.proxy, "--config", config, "--host", "127.0.0.1", "--port", port]
    log = context.scratch / "litellm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            list(map(str, command)), env=_environ(context), stdout=output, stderr=output
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield Proxy(base_url=f"http://127.0.0.1:{port}/v1", pid=process.pid)
    except TimeoutError:
        raise RuntimeError(f"No proxy: {log.read_text()[-2000:]}") from None
    finally:
        process.kill()
        process.wait()


def _environ(context: BenchContext) -> dict[str, str]:
    more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NUM_WORKERS": "1",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}  # fmt: skip
    return {"PATH": os.environ["PATH"], "HOME": str(context.scratch), **context.trust, **more}


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - loopback
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError

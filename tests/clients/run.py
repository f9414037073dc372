"""Runs the suites of the Node clients against a local stack of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from local.settings import ROOT, Settings
from local.stack import Stack

SUITES = Path(__file__).parent
LOG = ROOT / ".relay-local-clients.log"
SECONDS = 300
FILE_SECONDS = 120
# The suites ask faster than one client key may.
UNTHROTTLED = {"ThrottleRequestsPerSecond": 1000, "ThrottleBurst": 1000}
NODE = ("node", "--test", "--test-reporter=spec", f"--test-timeout={FILE_SECONDS * 1000}")


async def run_suites(stack: Stack) -> int:
    """Returns node's exit status; a TimeoutError if it does not end."""
    environment = {
        "PATH": os.environ["PATH"],  # and no more: the clients read OPENAI_* and proxies there
        "BASE_URL": f"{stack.base_url}/v1",
        "CLIENT_KEY": stack.client_key,
    }
    node = await asyncio.create_subprocess_exec(
        *NODE, cwd=SUITES, env=environment, start_new_session=True
    )
    try:
        return await asyncio.wait_for(node.wait(), SECONDS)
    finally:
        if node.returncode is None:
            os.killpg(node.pid, signal.SIGKILL)  # a process for each file with it
            await node.wait()


async def main() -> int:
    """Returns 0 if every test passed."""
    async with Stack(Settings(port=0, log=LOG, parameters=UNTHROTTLED)) as stack:
        return await run_suites(stack)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

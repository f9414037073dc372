"""What a function's process runs: the Lambda runtime named first, on the handler named second.

A script and not a module of the stack: the process sees the function's folders alone.
"""

import runpy
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ends this process when the stack ends, however it ends (Linux; elsewhere `next` fails)."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - where it is needed

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(runtime: str, handler: str) -> None:
    """Runs a handler until the stack goes away."""
    die_with_parent()
    sys.argv = [runtime, handler]
    if runtime == "awslambdaric":
        runpy.run_module("awslambdaric", run_name="__main__")
    else:
        client = Path(__file__).with_name("runtime_client.py")
        runpy.run_path(str(client), run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Entry point of a function's process; arguments: runtime, handler.

A script, not a module: the process can import only the function's folders.
"""

import runpy
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """End this process with its parent (on Linux; elsewhere the next Runtime API call fails)."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - where it is needed

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(runtime: str, handler: str) -> None:
    """Run a handler until the stack stops."""
    die_with_parent()
    sys.argv = [runtime, handler]
    if runtime == "awslambdaric":
        runpy.run_module("awslambdaric", run_name="__main__")
    else:
        client = Path(__file__).with_name("runtime_client.py")
        runpy.run_path(str(client), run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])

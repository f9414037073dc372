"""Serve the provider simulator alone: python -m local.provider_simulator."""

import argparse
import asyncio
import signal
import sys

from local.provider_simulator.server import DEFAULT_KEY, Provider
from local.provider_simulator.switches import SWITCHES


def main() -> int:
    """Run the command line and return its exit status."""
    options = _options()
    if options.switches:
        for switch in SWITCHES:
            print(f"{switch.name} = {switch.default or '-'}  [{switch.allowed}]")
            print(f"    {switch.meaning}")
        return 0
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port} ({error.strerror}); choose another "
              "port with --port.", file=sys.stderr)  # fmt: skip
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.provider_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 selects a free port")
    parser.add_argument("--key", default=DEFAULT_KEY, help="the only accepted API key")
    parser.add_argument(
        "--rate-limit", type=int, default=0, help="requests per minute, 0: unlimited"
    )
    parser.add_argument("--switches", action="store_true", help="list the switches of a request")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    provider = Provider(key=options.key, rate_limit=options.rate_limit)
    print(await provider.start(options.host, options.port), flush=True)
    await stopped.wait()
    await provider.stop()


if __name__ == "__main__":
    sys.exit(main())

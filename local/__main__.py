"""`python -m local run` proves the stack and serves until Ctrl-C; `demo` proves it and ends."""

import asyncio
import errno
import functools
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from local.report import Screen, say, show_failures, show_result, show_stack
from local.settings import Settings
from local.single_instance import alone
from local.stack import NOTE, Stack
from local.terminal import ctrl_c_for_us_alone
from local.vectors import Result, read_vectors, send_all

COMMANDS = {"run", "demo"}
INTERRUPTED = 130


async def prove(settings: Settings, console: Console, *, stay: bool) -> bool:
    """Starts a stack and sends the vectors; returns whether all passed, or stays if asked to."""
    serving, results = asyncio.Event(), list[Result]()

    def tell(result: Result) -> None:
        results.append(result)
        show_result(console, result)

    def log(line: str) -> None:
        if serving.is_set():
            say(console, escape(line))

    with console.status("Starting the local stack") as status:
        async with Stack(settings, log) as stack:
            stack.write_note()
            status.update("Sending the test vectors")
            passed = await send_all(read_vectors(), stack.base_url, stack.client_key, tell)
            status.stop()
            show_stack(console, stack)
            show_failures(console, results)
            if stay:
                say(console, "Serving. Ctrl-C ends it.")
                serving.set()
                await stack.complete()
                await asyncio.Event().wait()
            return passed


async def until_stopped(settings: Settings, console: Console, *, stay: bool) -> int:
    """Runs until done or interrupted, and cleans up either way; returns the exit status."""
    work = asyncio.create_task(prove(settings, console, stay=stay))
    stop = functools.cache(work.cancel)  # once: a second Ctrl-C must not cut the cleaning up
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return 0 if await work else 1
    except asyncio.CancelledError:
        return 0 if stay else INTERRUPTED


def main(arguments: list[str]) -> int:
    """Runs a command; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print("usage: python -m local run|demo", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_env(os.environ)
        with ctrl_c_for_us_alone(), alone(settings.log, NOTE):
            return asyncio.run(until_stopped(settings, Screen(), stay=arguments == ["run"]))
    except ValueError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        print(
            f"Port {settings.port} cannot be used: {error.strerror}. "
            "Choose another one: PORT=18080 make run",
            file=sys.stderr,
        )
    return 1


def leave(status: int) -> NoReturn:
    """Ends this process at once: to take moto's modules apart takes Python another second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))

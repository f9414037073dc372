"""`python -m local run` tests the stack and serves until Ctrl-C; `demo` tests it and exits."""

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

from local.report import PipeSafeConsole, print_line, show_failures, show_result, show_stack
from local.settings import Settings
from local.single_instance import single_instance
from local.stack import NOTE, Stack
from local.terminal import foreground_process_group
from local.vectors import Result, read_vectors, send_all

COMMANDS = {"run", "demo"}
INTERRUPTED = 130


async def prove(settings: Settings, console: Console, *, stay: bool) -> bool:
    """Start a stack and send the vectors; return whether all passed, or serve on with `stay`."""
    serving, results = asyncio.Event(), list[Result]()

    def tell(result: Result) -> None:
        results.append(result)
        show_result(console, result)

    def log(line: str) -> None:
        if serving.is_set():
            print_line(console, escape(line))

    with console.status("Starting the local stack") as status:
        async with Stack(settings, log) as stack:
            stack.write_note()
            status.update("Sending the test vectors")
            passed = await send_all(read_vectors(), stack.base_url, stack.client_key, tell)
            status.stop()
            show_stack(console, stack)
            show_failures(console, results)
            if stay:
                print_line(console, "Serving. Ctrl-C ends it.")
                serving.set()
                await stack.complete()
                await asyncio.Event().wait()
            return passed


async def until_stopped(settings: Settings, console: Console, *, stay: bool) -> int:
    """Run until done or interrupted, clean up, and return the exit status."""
    work = asyncio.create_task(prove(settings, console, stay=stay))
    stop = functools.cache(work.cancel)  # once: a second Ctrl-C must not cut the cleaning up
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return 0 if await work else 1
    except asyncio.CancelledError:
        return 0 if stay else INTERRUPTED


def main(arguments: list[str]) -> int:
    """Run a command; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print("usage: python -m local run|demo", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_env(os.environ)
        with foreground_process_group(), single_instance(settings.log, NOTE):
            return asyncio.run(
                until_stopped(settings, PipeSafeConsole(), stay=arguments == ["run"])
            )
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
    """Exit immediately: unloading moto's modules would take another second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))

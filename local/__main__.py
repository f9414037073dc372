"""`python -m local run` tests the stack and serves until Ctrl-C; `demo` tests it and exits."""

import asyncio
import errno
import fcntl
import functools
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from local.report import PipeSafeConsole, show_failures, show_result, show_stack
from local.settings import Settings
from local.stack import STATE_FILE, Stack
from local.vectors import DEFAULT_MODEL, Result, choose_vectors, read_vectors, send_all

INTERRUPTED = 130


async def run_vectors(settings: Settings, console: Console, *, keep_serving: bool) -> bool:
    """Start a stack and send the vectors; return whether all passed, or serve until cancelled."""
    serving, results = asyncio.Event(), list[Result]()

    def report(result: Result) -> None:
        results.append(result)
        show_result(console, result)

    def log(line: str) -> None:
        if serving.is_set():
            console.print(escape(line))

    with console.status("Starting the local stack") as status:
        async with Stack(settings, log) as stack:
            stack.write_state_file()
            status.update("Sending the test vectors")
            server = stack.base_url, stack.client_key
            model, vectors = DEFAULT_MODEL, read_vectors()
            if settings.is_other_provider:
                model, vectors = await choose_vectors(*server)
            passed = await send_all(vectors, *server, report)
            status.stop()
            show_stack(console, stack, model)
            show_failures(console, results)
            if keep_serving:
                console.print("Serving. Ctrl-C ends it.")
                serving.set()
                await stack.complete()
                await asyncio.Event().wait()
            return passed


async def until_stopped(settings: Settings, console: Console, *, keep_serving: bool) -> int:
    """Run until done or interrupted, clean up, and return the exit status."""
    work = asyncio.create_task(run_vectors(settings, console, keep_serving=keep_serving))
    stop = functools.cache(work.cancel)  # once: a second Ctrl-C must not cut the cleaning up
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return 0 if await work else 1
    except asyncio.CancelledError:
        return 0 if keep_serving else INTERRUPTED


@contextmanager
def foreground_process_group() -> Iterator[None]:
    """Receive Ctrl-C instead of `make`, which would report an error on exit.

    The process group moves to the terminal's foreground, as a shell does with jobs.
    """
    group = os.getpgrp()
    if not sys.stdin.isatty() or group == os.getpid() or os.tcgetpgrp(0) != group:
        yield
        return
    # Ctrl-Z would stop us and leave `make`, and the shell, waiting.
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)
    }
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    try:
        yield
    finally:
        os.tcsetpgrp(0, group)
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def single_instance(log: Path) -> Iterator[None]:
    """Allow one stack per folder, as a second would overwrite its files; ValueError for that."""
    with log.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = ""
            with suppress(OSError, ValueError, KeyError, TypeError):
                other = f" ({json.loads(STATE_FILE.read_text())['base_url']})"
            raise ValueError(
                f"A local stack already runs in this folder{other}. Stop it first, or start this "
                "one in a copy of the folder."
            ) from None
        yield


def main(arguments: list[str]) -> int:
    """Run a command; return the exit status."""
    if arguments not in (["run"], ["demo"]):
        print("usage: python -m local run|demo", file=sys.stderr)
        return 2
    keep_serving = arguments == ["run"]
    try:
        settings = Settings.from_env(os.environ)
        if not keep_serving:  # no answer of `demo` is read as it is written
            settings = replace(settings, tokens_per_second=0)
        with foreground_process_group(), single_instance(settings.log):
            console = PipeSafeConsole(highlight=False, soft_wrap=True)
            return asyncio.run(until_stopped(settings, console, keep_serving=keep_serving))
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


def exit_now(status: int) -> NoReturn:
    """Exit immediately: unloading moto's modules would take another second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    exit_now(main(sys.argv[1:]))

"""The terminal in which `make run` runs."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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

"""The terminal that `make run` was typed at."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_for_us_alone() -> Iterator[None]:
    """Keeps Ctrl-C from `make`, which would report the end that was asked for as an error.

    We take its place in the terminal's foreground, as a shell's jobs do.
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

"""The entry point. It imports nothing itself, so that Ctrl-C during the imports is handled like any other.

Two tricks for the sake of milliseconds are kept, here. :func:`script` ends the process without tearing down the
interpreter: measured as tests/bench/startup.py does (41 runs in turn, a piped ``classify``, Python 3.11), 78 instead of
92 ms where ``import click`` takes 62. And the garbage collector looks at new objects less often than by default:
``interfaces`` with a thousand of them takes 195 instead of 210 ms, because records are no garbage. It is not switched
off: a server runs for months.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main", "script"]

_NEW_OBJECTS = 50_000  # containers made and not freed before the collector looks; Python's default is 700


def main(argv: Sequence[str] | None = None) -> int:
    """Run netprobe with ``argv`` (default: the process' own) and return its exit status."""
    try:
        gc.set_threshold(_NEW_OBJECTS)
        from netprobe.cli import run

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt as end:
        sys.stderr.write("netprobe: interrupted\n")
        return 128 + getattr(end, "number", 2)


def script() -> NoReturn:
    """The console script: ``main``, then an exit that skips the interpreter's tear-down.

    Everything has been written by then. Where threads or processes are left that must be joined, the process exits
    normally. After a SIGTERM or SIGHUP it is that signal that ends it, so that who waits for it sees what it sees of
    any program; Ctrl-C is an exit status of its own, 130.
    """
    status = main()
    if status > 128 and status != 130:
        import signal

        signal.signal(status - 128, signal.SIG_DFL)
        os.kill(os.getpid(), status - 128)
    threading = sys.modules.get("threading")
    if "multiprocessing" not in sys.modules and (threading is None or threading.active_count() == 1):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    script()

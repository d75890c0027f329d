"""The entry point. It imports nothing itself, so that Ctrl-C during the imports is handled like any other.

One trick for the sake of milliseconds is kept, here: :func:`script` ends the process without tearing down the
interpreter. Measured as tests/bench/startup.py does (41 runs in turn, a piped ``classify``, Python 3.11): 78 instead of
92 ms where ``import click`` takes 62. Switching the garbage collector off during the imports gained nothing and is
gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main", "script"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run netprobe with ``argv`` (default: the process' own) and return its exit status."""
    try:
        from netprobe.cli import run

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("netprobe: interrupted\n")
        return 130


def script() -> NoReturn:
    """The console script: ``main``, then an exit that skips the interpreter's tear-down.

    Everything has been written by then. Where threads or processes are left that must be joined, the process exits
    normally.
    """
    status = main()
    threading = sys.modules.get("threading")
    if "multiprocessing" not in sys.modules and (threading is None or threading.active_count() == 1):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    script()

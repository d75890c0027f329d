"""The entry point. It imports nothing itself, so that Ctrl-C during the imports is met like any other."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main", "script"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run netprobe with ``argv`` (default: the process' own) and return its exit status."""
    try:
        gc.disable()  # nothing that the imports make is garbage
        from netprobe.cli import run

        gc.enable()
        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("netprobe: interrupted\n")
        return 130


def script() -> NoReturn:
    """The console script: ``main``, and an end that does not take the interpreter apart piece by piece.

    That would cost 7 ms, as much as a whole answer. Everything is written by then; with threads or processes around,
    which want to be joined, the usual way is taken.
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

"""The entry point. It imports nothing itself, so that Ctrl-C during the imports is met like any other."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run netprobe with ``argv`` (default: the process' own) and return its exit status."""
    try:
        from netprobe.cli import run

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("netprobe: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())

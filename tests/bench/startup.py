"""Start-up: one piped answer against the import of click alone: ``python -m tests.bench.startup``."""

from __future__ import annotations

import sys

from tests.bench.pairs import alternate, print_ratios
from tests.conftest import NETPROBE

PEER = 'python -c "import click"'


def main() -> None:
    """Print the table; the aim is a ratio of at most 1.2 for ``classify``."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        PEER: [sys.executable, "-c", "import click"],
        "netprobe --version": [str(NETPROBE), "--version"],
        "netprobe classify 172.20.1.5 | cat": [str(NETPROBE), "classify", "172.20.1.5"],
    }
    print_ratios(alternate(commands, runs=21), PEER)


if __name__ == "__main__":
    main()

"""What a vantage says, changed at random, in whole runs: ``python -m tests.bench.fuzz_vantage --sessions 20000``.

``tests/reach/test_mutated_vantage.py`` does some hundreds of the same. A seed that is printed is one run:
``--seed N --sessions 1``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.reach.mutated_vantage import Fuzzer


def main() -> int:
    """Run them all, and tell each fault with its seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=20_000)
    given = parser.parse_args()
    faults, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        for seed in range(given.seed, given.seed + given.sessions):
            fault = fuzzer.fault(seed)
            if fault is not None:
                faults += 1
                print(f"seed {seed}: {fault}", flush=True)
    took = time.monotonic() - began
    print(f"{faults} faults in {given.sessions} mutated sessions, {given.sessions / took:.0f} a second")
    return int(faults > 0)


if __name__ == "__main__":
    raise SystemExit(main())

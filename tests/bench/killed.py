"""Does a run with ``--trace`` leave anything behind, whenever and however it is ended?

``python -m tests.bench.killed --runs 100 --seed 1``: runs at three hosts of a lab, each ended by SIGINT, SIGTERM or
SIGKILL at a random instant; then a look at the tables and the processes in their namespaces. Needs root or user
namespaces, and nft.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.lab.leftovers import ROUTED, killed_at_random
from tests.lab.network import Lab


def main(argv: Sequence[str]) -> int:
    """Kill ``--runs`` of them; status 1 if one has left something."""
    parser = argparse.ArgumentParser(description="Runs of bindtest --trace, killed at random instants.")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    wrong = 0
    with Lab(ROUTED) as lab:
        for what, left in killed_at_random(lab, options.seed, options.runs):
            if left:
                wrong += 1
                print(f"{what}: {', '.join(left)}", flush=True)
    print(f"{options.runs - wrong} of {options.runs} killed runs left no table and no process")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

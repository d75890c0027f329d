"""Times whole commands against each other in one run: alternating, a warm-up first, medians and their ratio."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Timing", "alternate", "print_ratios"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall times of one command, in seconds."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The median, in seconds."""
        return median(self.seconds)


def alternate(commands: Mapping[str, Sequence[str]], runs: int = 15, stdin: str | None = None) -> list[Timing]:
    """Run each command once to warm up, then ``runs`` times in turn (A B A B …), so that drift hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, argv in commands.items():
            start = time.perf_counter()
            subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, input=stdin, text=True)
            if turn:
                taken[name].append(time.perf_counter() - start)
    return [Timing(name, tuple(seconds)) for name, seconds in taken.items()]


def print_ratios(timings: Sequence[Timing], peer: str) -> None:
    """A table of medians in milliseconds, each with its ratio to ``peer``'s."""
    base = next(timing.median_s for timing in timings if timing.name == peer)
    print(f"{'command':44} {'median ms':>10} {'min':>8} {'max':>8} {'ratio':>7}")
    for timing in timings:
        low, high = min(timing.seconds), max(timing.seconds)
        print(
            f"{timing.name:44} {timing.median_s * 1e3:10.1f} {low * 1e3:8.1f} {high * 1e3:8.1f} "
            f"{timing.median_s / base:7.2f}"
        )

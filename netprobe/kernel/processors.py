"""How many processors there are for us, which may be fewer than the machine has (taskset(1), a container's cpuset)."""

from __future__ import annotations

import os

__all__ = ["available_cores"]


def available_cores() -> int:
    """How many processors this process may use (sched_setaffinity(2)); all of the machine's where nobody tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""How much memory this process may use: the smallest of the limits that its system sets.

A limit on the address space or on data (setrlimit(2)) makes an allocation fail; a control group's limit
(cgroups(7)) makes the kernel kill the process; the physical memory is what is there at all. Each control group
is bounded by its ancestors too, and a container may see its own group as the root, so every level that exists is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit"]

_V2 = ("sys/fs/cgroup", "memory.max")
_V1 = ("sys/fs/cgroup/memory", "memory.limit_in_bytes")


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes; None where the system tells of no limit. ``root`` is where proc and sys are mounted."""
    return min((*_by_process(), *_by_group(root), *_physical()), default=None)


def _by_process() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        number = getattr(resource, name, None)  # OpenBSD has no RLIMIT_AS
        if number is not None and (soft := resource.getrlimit(number)[0]) != resource.RLIM_INFINITY:
            yield soft


def _by_group(root: Path) -> Iterator[int]:
    """The limits of this process's control groups; their absence in the files is ``max``, or a number beyond all."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            mount, name = _V2
        elif "memory" in controllers.split(","):
            mount, name = _V1
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            text = _text(root.joinpath(mount, *parts[:depth], name)).strip()
            if text.isascii() and text.isdigit() and len(text) < 20:  # 2**64 has 20 digits
                yield int(text)


def _physical() -> Iterator[int]:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows, or a system that does not say
        return
    if total > 0:
        yield total


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # no such controller, or not for us to see
        return ""

"""Counts as bars, for a person's terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from netprobe.render.table import console
from netprobe.render.terminal import Terminal

__all__ = ["print_histogram"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def print_histogram(rows: Sequence[tuple[str, int, float]], terminal: Terminal) -> None:
    """Name, count, percent and a bar a row; the bars take what is left of the width, 40 columns at most."""
    if not rows:
        return
    name_width = max(len(name) for name, _, _ in rows)
    count_width = max(len(f"{count:,}") for _, count, _ in rows)
    room = min(terminal.width - name_width - count_width - 11, 40)
    most = max(count for _, count, _ in rows)
    out = console(terminal)
    for name, count, percent in rows:
        line = Text(f"{name:{name_width}}  {count:>{count_width},} {percent:6.2f}%")
        if room > 4:
            line.append("  ").append(_bar(count / most, room), style="cyan")
        out.print(line, soft_wrap=True)


def _bar(share: float, room: int) -> str:
    whole, eighths = divmod(round(share * room * 8), 8)
    return ("█" * whole + (_EIGHTHS[eighths] if eighths else "")) or "▏"

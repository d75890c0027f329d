"""Text from outside, made harmless for a line that a person or a line-oriented program reads.

Host names, banners, file names, process names and what a peer sends may hold anything: an escape sequence that
repaints the terminal, a right-to-left override that shows ``gpj.exe`` as ``exe.jpg``, a line feed that forges a log
line. Such text is kept as it is everywhere inside netprobe, and in JSON, where a program wants what was really there.
It is escaped by this one function, and only where a human or line format is written: earlier, the true text would be
lost; and if every writer had its own rule, one of them would forget it.

What counts as harmful is what :meth:`str.isprintable` refuses: control and format characters (bidi controls and
zero-width ones among them), surrogates, private use and unassigned code points, and every separator but the space.
"""

from __future__ import annotations

__all__ = ["escape"]


def escape(text: str, keep: str = "") -> str:
    """``text`` with each unprintable character written as a Python escape, but for those in ``keep``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)

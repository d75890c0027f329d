"""Text from outside, made harmless for a line that a person or a line-oriented program reads.

Host names, banners, file names, process names and what a peer sends may hold anything: an escape sequence that
repaints the terminal, a right-to-left override that shows ``gpj.exe`` as ``exe.jpg``, a line feed that forges a log
line. Such text is kept as it is everywhere inside netprobe, and in JSON, where a program wants what was really there.
It is escaped by this one function, and only where a human or line format is written: earlier, the true text would be
lost; and if every writer had its own rule, one of them would forget it.

A text may also be of any length. What is shown of one that nobody would read to its end is cut in the middle, so that
the reason behind a quoted text stays.

What counts as harmful is what :meth:`str.isprintable` refuses: control and format characters (bidi controls and
zero-width ones among them), surrogates, private use and unassigned code points, and every separator but the space.
"""

from __future__ import annotations

__all__ = ["escape", "escape_json", "shortened"]


def escape(text: str, keep: str = "") -> str:
    """``text`` with each unprintable character written as a Python escape, but for those in ``keep``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def escape_json(text: str) -> str:
    """A JSON ``text`` with each unprintable character, but for its line feeds, as ``\\uXXXX`` (RFC 8259 section 7).

    The text that a reader gets is the same. But a terminal obeys U+009B, which the json module writes as it is, and
    line-oriented programs break lines at U+2028.
    """
    if text.isascii() and "\x7f" not in text:  # all that json leaves of them; isprintable() takes 50 times as long
        return text
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def shortened(text: str, most: int) -> str:
    """``text``, or where it has more than ``most`` characters, about that many from both of its ends."""
    if len(text) <= most:
        return text
    return f"{text[: 2 * most // 3]} … {len(text):,} characters … {text[-most // 3 :]}"

"""Writes the RULES section of netprobe-bindtest(1) from the rules themselves: ``python -m tests.reach.rules_page``."""

from __future__ import annotations

import re
import sys
from textwrap import wrap

from netprobe.reach.rules import RULES, Rule
from tests.man.generate import MAN

PAGE = MAN / "netprobe-bindtest.1"
BEGIN = '.\\" Rules: made from netprobe/reach/rules.py by tests/reach/rules_page.py, not by hand.'
END = '.\\" End of rules.'


def with_rules(page: str) -> str:
    """``page`` with a fresh RULES section between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks the markers of the rules")
    lines = [".Sh RULES", "The rules behind the predictions, named as", ".Fl -explain", "prints them."]
    lines.append(".Bl -tag -width Ds")
    for rule in RULES.values():
        lines += item(rule)
    return f"{before}{BEGIN}\n" + "\n".join([*lines, ".El", ""]) + f"{END}{after}"


def item(rule: Rule) -> list[str]:
    """One rule in mdoc(7)."""
    lines = [f".It {rule.id}"]
    if rule.systems:
        names = {"linux": "Linux", "macos": "macOS", "freebsd": "FreeBSD", "openbsd": "OpenBSD", "netbsd": "NetBSD"}
        lines.append(safe(f"({', '.join(names.get(name, name.capitalize()) for name in rule.systems)})"))
    for sentence in re.split(r"(?<=[.;:])\s+(?=[A-Z])", rule.text):
        lines += [safe(line) for line in wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)]
    if rule.source != "-":
        lines += [safe(line) for line in wrap(f"[{rule.source}]", 78, break_on_hyphens=False)]
    return lines


def safe(line: str) -> str:
    """A text line that mdoc does not take for a macro."""
    line = re.sub(r"(?<=Free|Open)(?=BSD)|(?<=Net)(?=BSD)|(?<=[a-z])(?=\(\))", r"\\&", line.replace("\\", "\\e"))
    return f"\\&{line}" if line.startswith((".", "'")) else line


def main() -> int:
    """Rewrite the page if it differs."""
    old = PAGE.read_text("utf-8")
    PAGE.write_text(with_rules(old), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

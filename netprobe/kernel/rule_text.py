"""A rule in its owner's words, from its family, table, chain and handle: what ``nft -a list chain`` prints of it.

The kernel has rules as expressions, and only nft can write them as they were typed. Where iptables-nft made the rule,
nft may know less than iptables: a match of an extension is ``xt match "conntrack"`` to it, without what is matched. So
the rule is asked of ``iptables-nft -S CHAIN n`` as well, n being its place in the chain, and those words are taken.
Never of iptables-legacy, whose -S makes the table that it looks for, and with it the hook.

What is run is bounded in time and size. This module travels: Python 3.6 and later, standard library only.
"""

import os
import re
import shutil
import subprocess
import threading
from typing import List, NamedTuple, Optional

__all__ = ["RuleText", "rule_text"]

MOST_TEXT = 400  # characters of a rule
_MOST_OUTPUT = 8 << 20  # bytes of a chain
_TIME_S = 3.0
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
_HANDLE = re.compile(r"^\s*(.*?)\s*# handle ([0-9]+)$")
_XTABLES = {"ip": "iptables", "ip6": "ip6tables"}
_BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_TABLES = ("filter", "nat", "mangle", "raw", "security")  # iptables(8)


class RuleText(NamedTuple):
    """A rule's ``text``, or ``why_not`` there is none. ``is_iptables``: it was made by iptables-nft."""

    text: Optional[str] = None
    is_iptables: bool = False
    why_not: Optional[str] = None


def rule_text(family: str, table: str, chain: str, handle: Optional[int] = None) -> RuleText:
    """The rule with that handle; without one, the chain's policy."""
    lines = _output(["nft", "-a", "list", "chain", family, table, chain])
    if lines is None:
        return RuleText(why_not="nft is not installed")
    is_iptables = family in _XTABLES and table in _TABLES and (chain in _BUILT_IN or _is_managed(lines))
    place = 0
    for line in lines:
        if handle is None:
            if "policy " in line:
                return RuleText(_tidy(line), is_iptables)
            continue
        found = _HANDLE.match(line)
        if found is None or found.group(1).endswith("{"):
            continue
        place += 1
        if int(found.group(2)) == handle:
            own = _as_iptables_has_it(family, table, chain, place) if is_iptables else None
            return RuleText(_tidy(own or found.group(1)), is_iptables)
    return RuleText(None, is_iptables, "nft does not list it: the rules may have changed")


def _is_managed(lines: List[str]) -> bool:
    return any("managed by iptables-nft" in line or re.search(r"\bxt (match|target) ", line) for line in lines)


def _as_iptables_has_it(family: str, table: str, chain: str, place: int) -> Optional[str]:
    for program in (_XTABLES[family] + "-nft", _XTABLES[family]):
        if not program.endswith("-nft") and "nf_tables" not in "".join(_output([program, "-V"]) or ()):
            continue
        lines = _output([program, "-t", table, "-S", chain, str(place)])
        found = [line for line in lines or () if line.startswith("-A ")]
        if len(found) == 1:
            return found[0]
    return None


def _tidy(text: str) -> str:
    """One line without what nobody could print."""
    text = " ".join(text.split())
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _output(argv: List[str]) -> Optional[List[str]]:
    """The lines that a program prints, errors included; None where there is no such program."""
    program = shutil.which(argv[0], path=_PATH)
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, LC_ALL="C"),
        )
    except OSError:
        return None
    timer = threading.Timer(_TIME_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        data = process.stdout.read(_MOST_OUTPUT)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    return data.decode("utf-8", "replace").splitlines()

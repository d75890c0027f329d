"""The near side of a journey: how a Python at a vantage is started, and what its stdin gets first.

``python3 -I -c BOOTSTRAP`` runs the first line of its stdin. That line says how many characters to read next and run:
the text of ``unpack.py``, the sources of all modules that travel, and a call into :mod:`netprobe.prober.session`,
which goes on reading questions from the same stdin. Why not ``python3 -``: it runs nothing until its input has ended,
and then no question could follow. Why not all of it in the argument: arguments are limited (128 KiB each on Linux),
and every user of that machine can read them. For the same reason no request, and above all no nonce, is ever part of
them.

``-I``: neither the directory nor the environment there changes what runs.

Nobody knows how many shells stand between here and there. docker, kubectl, nsenter and most commands hand arguments
on as they are; sshd joins them and has a shell read them, which takes quotes away; a ForceCommand that ends in
``exec $SSH_ORIGINAL_COMMAND`` splits them at spaces and leaves the quotes in. So the bootstrap is one word, and the
same program either way: an f-string whose expression is evaluated, or, without the quotes, an assignment to ``f`` and
a set with that expression. Its parentheses are inside the quotes, where neither sh nor csh, fish, PowerShell or
cmd.exe touches them.

This module stays at home, so it need not be readable by old Pythons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["ARGUMENTS", "BOOTSTRAP", "MODULES", "program", "question"]

BOOTSTRAP = 'f"=0;{exec(input())}"'
ARGUMENTS = ("-I", "-c", BOOTSTRAP)  # joined with spaces, they are right for a shell, too

# What travels, each after what it imports.
MODULES = (
    "netprobe.kernel.constants",
    "netprobe.kernel.error_queue",
    "netprobe.kernel.netlink",
    "netprobe.kernel.rtnetlink",
    "netprobe.kernel.nf_tables",
    "netprobe.kernel.nf_trace",
    "netprobe.kernel.rule_text",
    "netprobe.prober.wire",
    "netprobe.prober.sockets",
    "netprobe.prober.names",
    "netprobe.prober.facts",
    "netprobe.prober.loop",
    "netprobe.prober.probe",
    "netprobe.prober.pacing",
    "netprobe.prober.tcp",
    "netprobe.prober.udp",
    "netprobe.prober.ladder",
    "netprobe.prober.engine",
    "netprobe.prober.tracing",
    "netprobe.prober.session",
)
# Only for a request that traces: they are a third of it all.
_OF_A_TRACE = ("netprobe.kernel.nf_tables", "netprobe.kernel.nf_trace", "netprobe.kernel.rule_text", MODULES[-2])


@cache
def program(*, traces: bool = False) -> bytes:
    """What stdin gets first: how much to read, and the program. Questions follow it. All of it is ASCII."""
    sources = [(name, _source(name)) for name in MODULES if traces or name not in _OF_A_TRACE]
    text = f"{_source('netprobe.prober.unpack')}\nunpack({sources!a})\nfrom {MODULES[-1]} import converse\nconverse()\n"
    return f"import sys; exec(sys.stdin.read({len(text)}))\n{text}".encode("ascii")


def question(request: Mapping[str, Any]) -> bytes:
    """The line that asks for a request's cells."""
    return json.dumps({"probe": request}).encode() + b"\n"


def _source(module: str) -> str:
    """A module's source, also where netprobe itself runs out of a zip."""
    package, _, name = module.rpartition(".")
    return resources.files(package).joinpath(f"{name}.py").read_text("utf-8")

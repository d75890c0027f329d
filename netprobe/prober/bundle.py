"""The near side of a journey: how a Python at a vantage is started, and what its stdin gets first.

``python3 -I -c BOOTSTRAP`` reads a line with a number, then so many bytes, and runs them. They are the text of
``unpack.py``, the sources of all modules that travel, and a call into :mod:`netprobe.prober.session`, which goes on
reading questions from the same stdin. Why not ``python3 -``: it runs nothing until its input has ended, and then no
question could follow. Why not all of it in the argument: arguments are limited (128 KiB each on Linux), and every user
of that machine can read them. For the same reason no request, and above all no nonce, is ever part of them.

``-I``: neither the directory nor the environment there changes what runs.

The bootstrap has no character that a shell touches inside double quotes, and no double quote itself. So one spelling is
right for every shell that ssh may meet: sh, csh, fish, PowerShell, cmd.exe.

This module stays at home, so it need not be readable by old Pythons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["ARGUMENTS", "MODULES", "SHELL_ARGUMENTS", "program", "question"]

BOOTSTRAP = "import sys; exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"
ARGUMENTS = ("-I", "-c", BOOTSTRAP)
SHELL_ARGUMENTS = f'-I -c "{BOOTSTRAP}"'  # the same, as words of a command line

# What travels, each after what it imports.
MODULES = (
    "netprobe.kernel.constants",
    "netprobe.kernel.error_queue",
    "netprobe.kernel.netlink",
    "netprobe.kernel.rtnetlink",
    "netprobe.prober.wire",
    "netprobe.prober.sockets",
    "netprobe.prober.facts",
    "netprobe.prober.loop",
    "netprobe.prober.probe",
    "netprobe.prober.pacing",
    "netprobe.prober.tcp",
    "netprobe.prober.udp",
    "netprobe.prober.engine",
    "netprobe.prober.session",
)


@cache
def program() -> bytes:
    """What the bootstrap reads: the number of bytes, and the program. Questions follow it."""
    sources = [(name, _source(name)) for name in MODULES]
    text = f"{_source('netprobe.prober.unpack')}\nunpack({sources!a})\nfrom {MODULES[-1]} import converse\nconverse()\n"
    data = text.encode()
    return b"%d\n" % len(data) + data


def question(request: Mapping[str, Any]) -> bytes:
    """The line that asks for a request's cells."""
    return json.dumps({"probe": request}).encode() + b"\n"


def _source(module: str) -> str:
    """A module's source, also where netprobe itself runs out of a zip."""
    package, _, name = module.rpartition(".")
    return resources.files(package).joinpath(f"{name}.py").read_text("utf-8")

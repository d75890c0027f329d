"""Which session leads to a vantage: chosen once, for the command and for ``netprobe.bindtest()`` alike.

A network namespace has a resolver of its own where /etc/netns/NAME has files: ip-netns(8) mounts them over those of
/etc for what it runs there. nsenter(1) does not, and names would be resolved as this host does, by servers that the
namespace may not even reach. So such a namespace is entered with ``ip netns exec``. Any other one is not: it makes no
difference there but that ``ip`` mounts a sysfs, which a container may be forbidden although setns(2) is allowed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.login import LoginSession
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.sessions.receiver import OnNoise, ignore_noise
from netprobe.reach.sessions.session import Session
from netprobe.reach.sessions.start_queue import StartQueue
from netprobe.reach.vantages import LOCAL, Vantage

__all__ = ["session_for"]

_NSENTER: Final = "--net="
_NAMED: Final = (Path("/run/netns"), Path("/var/run/netns"))  # the second is ip-netns(8)'s own word for the first
_FILES: Final = Path("/etc/netns")
_QUEUE = StartQueue()  # an sshd counts all logins of this host, whichever run they belong to


def session_for(vantage: Vantage, on_noise: OnNoise = ignore_noise) -> Session:
    """This process for ``local``, a login for ssh, whether or not it comes from an inventory; else a subprocess."""
    if vantage.kind == LOCAL:
        return LocalSession()
    if vantage.kind == "ssh":
        return LoginSession(vantage, _QUEUE, on_noise)
    if vantage.kind == "netns":
        vantage = _with_its_files(vantage)
    return ProcessSession(vantage, on_noise)


def _with_its_files(vantage: Vantage) -> Vantage:
    """A namespace that has files of its own is entered together with them."""
    path = Path(next(word for word in vantage.command_prefix if word.startswith(_NSENTER)).removeprefix(_NSENTER))
    if path.parent not in _NAMED or not _FILES.joinpath(path.name).is_dir():
        return vantage
    return replace(vantage, command_prefix=("ip", "netns", "exec", path.name))

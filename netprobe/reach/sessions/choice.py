"""Which session leads to a vantage: chosen once, for the command and for ``netprobe.bindtest()`` alike."""

from __future__ import annotations

from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.login import LoginSession
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.sessions.receiver import OnNoise, ignore_noise
from netprobe.reach.sessions.session import Session
from netprobe.reach.sessions.start_queue import StartQueue
from netprobe.reach.vantages import LOCAL, Vantage

__all__ = ["session_for"]

_QUEUE = StartQueue()  # an sshd counts all logins of this host, whichever run they belong to


def session_for(vantage: Vantage, on_noise: OnNoise = ignore_noise) -> Session:
    """This process for ``local``, a login for ssh, whether or not it comes from an inventory; else a subprocess."""
    if vantage.kind == LOCAL:
        return LocalSession()
    if vantage.kind == "ssh":
        return LoginSession(vantage, _QUEUE, on_noise)
    return ProcessSession(vantage, on_noise)

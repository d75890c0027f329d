"""Which session leads to a vantage: chosen once, for the command and for ``netprobe.bindtest()`` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.reach.sessions.local import LocalSession
from netprobe.reach.sessions.process import ProcessSession
from netprobe.reach.sessions.receiver import OnNoise, ignore_noise
from netprobe.reach.sessions.session import Session
from netprobe.reach.vantages import LOCAL, Vantage

if TYPE_CHECKING:
    from netprobe.reach.sessions.fleet import Fleet

__all__ = ["session_for"]


def session_for(vantage: Vantage, on_noise: OnNoise = ignore_noise, fleet: Fleet | None = None) -> Session:
    """This process for ``local``; ``fleet`` for an ssh vantage, where there is one; a subprocess for anything else.

    OpenSSH is the default because it is what the user's own logins go through; a fleet is for hundreds of hosts.
    """
    if vantage.kind == LOCAL:
        return LocalSession()
    if vantage.kind == "ssh" and fleet is not None:
        return fleet.session(vantage, on_noise)
    return ProcessSession(vantage, on_noise)

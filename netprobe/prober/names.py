"""What names stand for here: this place's own resolver is asked, with its files, its servers and its order.

A name means what the resolver of whoever connects makes of it: ``localhost`` is ``::1`` first on one host and has no
IPv6 on the next, and ``web.internal`` may be two hosts in two networks. So a destination's name travels as it is, and
getaddrinfo(3) is asked where the client would run. Its order is that of RFC 6724 and /etc/gai.conf, which clients try
addresses in; it is kept.

getaddrinfo(3) has no time-out, and cannot be interrupted: with resolv.conf(5)'s defaults one silent server takes it
10 s, three of them 30 s, other sources of names (nsswitch.conf(5)) as long as they like. So threads ask, which nobody
waits for in the end. Names are bytes by then: for a ``str`` Python would load its ``idna`` codec, here and at every
vantage.
"""

import queue
import socket
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Sequence

from netprobe.prober.sockets import errno_name

__all__ = ["MOST_ADDRESSES", "RESOLVE_S", "Looked", "look_up"]

MOST_ADDRESSES = 16  # of a name that are reported: each becomes a cell
RESOLVE_S = 12.0  # more than the 10 s after which getaddrinfo(3) says that one silent server has not answered
AT_ONCE = 8  # names that are asked for at once
STOP_CHECK_S = 0.1

Looked = Dict[str, Any]

_ERRORS = {getattr(socket, word): word for word in dir(socket) if word.startswith("EAI_")}


def look_up(
    names: Sequence[str], seconds: float, found: Callable[[Looked], None], stopped: Optional[Callable[[], bool]] = None
) -> bool:
    """Give ``found`` one report for each of ``names`` (ASCII), in their order; False when it was stopped before.

    A report has ``addresses`` in the resolver's order, each once, ``left_out`` of how many more there are; or
    ``error``, as the resolver calls it (RFC 3493 section 6.1); or ``late``, if it said nothing within ``seconds``.
    """
    waiting: "queue.Queue[str]" = queue.Queue()
    answers: "queue.Queue[Looked]" = queue.Queue()
    for name in names:
        waiting.put(name)
    _start(min(AT_ONCE, len(names)), waiting, answers)
    known: Dict[str, Looked] = {}
    ends_at = time.monotonic() + seconds
    while len(known) < len(names):
        if stopped is not None and stopped():
            return False
        rest = ends_at - time.monotonic()
        if rest <= 0:
            break
        try:
            answer = answers.get(timeout=min(rest, STOP_CHECK_S))
        except queue.Empty:
            continue
        known[answer["name"]] = answer
    for name in names:
        found(known.get(name) or _report(name, late=True))
    return True


def _start(count: int, waiting: "queue.Queue[str]", answers: "queue.Queue[Looked]") -> None:
    """The threads that ask: daemons, so that no resolver keeps a process from its end."""

    def ask() -> None:
        while True:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            answers.put(_answer(name))

    for _ in range(count):
        try:
            threading.Thread(target=ask, daemon=True).start()
        except RuntimeError:  # no room for a thread: those that run take all names
            return


def _answer(name: str) -> Looked:
    """What the resolver says, however long it takes."""
    try:
        rows = socket.getaddrinfo(name.encode("ascii"), None, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return _report(name, error=_ERRORS.get(error.errno) or str(error.errno))
    except OSError as error:  # EAI_SYSTEM: the errno says what
        return _report(name, error=errno_name(error.errno) or "EAI_SYSTEM")
    except Exception:  # no text for a resolver: the thread must answer all the same
        return _report(name, error="EAI_NONAME")
    addresses = list(dict.fromkeys(_text(row[4]) for row in rows if row[0] in (socket.AF_INET, socket.AF_INET6)))
    if not addresses:
        return _report(name, error="EAI_ADDRFAMILY")
    return _report(name, addresses[:MOST_ADDRESSES], left_out=len(addresses[MOST_ADDRESSES:]))


def _report(
    name: str, addresses: Sequence[str] = (), left_out: int = 0, error: Optional[str] = None, late: bool = False
) -> Looked:
    found: List[str] = list(addresses)
    return {"name": name, "addresses": found, "left_out": left_out, "error": error, "late": late}


def _text(sockaddr: Any) -> str:
    """The address; a zone whose name is not printable goes by its number (RFC 4007 section 11.2)."""
    address, percent, zone = str(sockaddr[0]).partition("%")
    if not percent:
        return address
    plain = zone.isprintable() and not any(character in " /%" for character in zone)
    return "{}%{}".format(address, zone if plain else sockaddr[3])

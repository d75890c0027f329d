"""An echo server from its options to its summary: open, tell, serve in one process or in several, clean up."""

from __future__ import annotations

import os
from collections.abc import Callable

from netprobe.echo.server.happenings import Happening, Summary
from netprobe.echo.server.limits import Limits
from netprobe.echo.server.listening import Wanted, handed_over, listening_event, open_sockets
from netprobe.echo.server.loop import Server

__all__ = ["serve"]


def serve(wanted: Wanted, limits: Limits, say: Callable[[Happening], None]) -> Summary:
    """Serve until SIGINT or SIGTERM, then drain; ``say`` gets every event, first one ``Listening`` a socket.

    Sockets handed over by systemd (``LISTEN_FDS``) take the place of what is ``wanted``. Raises CannotRunError where
    a socket cannot be opened, KeyboardInterrupt at a second signal. Call it from the main thread: it takes signals.
    """
    handed = handed_over(os.environ)
    sets = [handed] * wanted.workers if handed else open_sockets(wanted)
    asked = None if handed else wanted.backlog
    opened = [listening_event(sock, limits.framed, asked, wanted.workers) for sock in sets[0]]

    def announce() -> None:
        for event in opened:
            say(event)

    try:
        if wanted.workers == 1:
            summary = Server(sets[0], limits, say).run(announce)
        else:
            from netprobe.echo.server.workers import Supervisor

            summary = Supervisor(sets, limits, say).run(announce)
        say(summary)
        return summary
    finally:
        for sock in (sock for own in sets for sock in own):
            sock.close()

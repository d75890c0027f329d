"""What an acceptor does with a listener that fails."""

from __future__ import annotations

import socket

from netprobe.echo.server.acceptor import Acceptor


def test_a_listener_that_its_owner_shuts_down_is_dropped_and_the_others_go_on() -> None:
    owner, other = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    with owner, other:
        lost = []
        kept = Acceptor([owner, other], lambda: None, lambda *_: None, lambda _: None, lambda *args: lost.append(args))
        owner.shutdown(socket.SHUT_RDWR)
        assert not kept.accept(owner)
        assert lost == [(owner, "EINVAL")]
        kept.accept_all()  # comes to an end
        assert kept.listeners == [other]
        assert kept.may_resume()

"""epoll rotates through ready descriptors, and the whole server works on systems without epoll."""

from __future__ import annotations

import select
import socket
import sys
from contextlib import ExitStack

import pytest

from netprobe.echo.server.poller import BATCH, READ, new_poller
from tests.echo.running import Server, exactly

ELSEWHERE = """
import os, runpy, select, sys  # selectors reads what select has when it is first imported
for name in sys.argv[1].split(","):
    if hasattr(select, name):
        delattr(select, name)
if hasattr(os, "splice"):
    del os.splice
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")
def test_no_descriptor_starves_behind_a_full_batch() -> None:
    poller = new_poller()
    with ExitStack() as stack:
        stack.callback(poller.close)
        fds = set()
        for _ in range(3 * BATCH):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            theirs.send(b"never read: always ready")
            poller.register(ours.fileno(), READ)
            fds.add(ours.fileno())
        turns = [{fd for fd, _ in poller.poll(0, BATCH)} for _ in range(3)]
    assert [len(turn) for turn in turns] == [BATCH] * 3
    assert set().union(*turns) == fds


@pytest.mark.parametrize("missing", ["epoll", "epoll,poll,kqueue,devpoll"], ids=["poll", "select"])
def test_a_server_without_epoll_serves_the_same(missing: str) -> None:
    prefix = (sys.executable, "-c", ELSEWHERE, missing)
    with ExitStack() as stack:
        server = stack.enter_context(Server("--tcp", "--max-connections", "100", "--log", prefix=prefix))
        peers = [stack.enter_context(server.connect()) for _ in range(101)]  # the last one has to wait
        for number, peer in enumerate(peers):
            peer.sendall(b"%03d" % number * 1000)
        for number, peer in enumerate(peers[:100]):
            assert exactly(peer, 3000) == b"%03d" % number * 1000
        assert server.event("accept-paused")["cause"] == "max-connections"
        slow = peers[0]
        slow.setblocking(False)
        sent = 0
        while select.select([], [slow], [], 0.3)[1]:  # until the server holds what we do not read, and reads no more
            sent += slow.send(bytes(65536))
        peers[1].sendall(b"meanwhile")
        assert exactly(peers[1], 9) == b"meanwhile"
        slow.settimeout(20)
        assert exactly(slow, sent) == bytes(sent)
        slow.close()
        assert server.event("ended")["received_bytes"] == sent + 3000
        assert exactly(peers[100], 3000) == b"100" * 1000  # there is room now
        code, events, err = server.stop()
    assert (code, err) == (0, "")
    assert events[-1]["event"] == "summary"
    assert events[-1]["connections"] == 101

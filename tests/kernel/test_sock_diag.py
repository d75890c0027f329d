"""Sockets as the kernel has them, asked of the kernel that runs these tests."""

from __future__ import annotations

import socket

import pytest

from netprobe.kernel.constants import AF_NETLINK
from netprobe.kernel.sock_diag import CLOSE, ESTABLISHED, LISTEN, sockets_at

pytestmark = pytest.mark.skipif(AF_NETLINK is None, reason="only Linux has netlink")


def test_a_listener_and_a_connection_that_nobody_has_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            found = {each.state: each for each in sockets_at(socket.AF_INET, socket.IPPROTO_TCP, port)}
            assert (found[LISTEN].queued, found[LISTEN].backlog, found[LISTEN].drops) == (1, 7, 0)
            connection = found[ESTABLISHED]
            assert (connection.local, connection.remote) == ("127.0.0.1", "127.0.0.1")
            assert (connection.local_port, connection.remote_port) == (port, client.getsockname()[1])


def test_an_ipv4_peer_of_a_dual_stack_socket_has_its_ipv4_address() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this host has no dual-stack sockets")
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = sockets_at(socket.AF_INET6, socket.IPPROTO_TCP, port)
    assert [each.remote for each in found if each.state == ESTABLISHED] == ["127.0.0.1"]


def test_a_datagram_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        (found,) = sockets_at(socket.AF_INET, socket.IPPROTO_UDP, sock.getsockname()[1])
    assert (found.state, found.local, found.drops) == (CLOSE, "127.0.0.1", 0)


def test_a_port_that_nobody_has() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    found = sockets_at(socket.AF_INET, socket.IPPROTO_TCP, port)
    assert [each for each in found if each.state == LISTEN] == []  # others may have had that port a minute ago

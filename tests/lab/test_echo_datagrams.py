"""What was sent to everybody is answered by nobody."""

from __future__ import annotations

import sys

import pytest

from tests.lab.conftest import BuildLab

pytestmark = pytest.mark.lab


def test_broadcast_and_multicast_are_not_answered(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    program = (
        "import socket, sys\n"
        "from netprobe.echo.server.datagrams import Datagrams\n"
        "from netprobe.echo.server.bind import BindSettings, open_sockets\n"
        "((sock,),) = open_sockets(BindSettings(hosts=('0.0.0.0',), port=0, tcp=False))\n"
        "group = socket.inet_aton('239.1.2.3') + socket.inet_aton('192.168.0.1')\n"
        "sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)\n"
        "echo = Datagrams(sock, None, memoryview(bytearray(65536)))\n"
        "peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
        "peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('192.168.0.1'))\n"
        "peer.settimeout(5)\n"
        "port = sock.getsockname()[1]\n"
        "for there in ('192.168.0.255', '255.255.255.255', '239.1.2.3', '192.168.0.1'):\n"
        "    peer.sendto(b'x', (there, port))\n"
        "    sock.setblocking(True); sock.settimeout(5); sock.recvfrom(1, socket.MSG_PEEK); sock.setblocking(False)\n"
        "    echo.readable()\n"
        "    print(there, echo.answered, echo.refused)\n"
    )
    network["pc1"].run("ip", "route", "add", "default", "dev", "e0")
    ran = network["pc1"].run(sys.executable, "-c", program)
    assert ran.stdout.splitlines() == [
        "192.168.0.255 0 1",
        "255.255.255.255 0 2",
        "239.1.2.3 0 3",
        "192.168.0.1 1 3",
    ]

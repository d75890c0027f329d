"""Servers that misbehave, over TCP and UDP: ``python -m tests.lab.misbehaving DOES ADDRESS PORT``.

Says ``listens`` when both listen, then serves until it is killed.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading

__all__ = ["DOES"]

LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() resets, socket(7)


class Closes(socketserver.BaseRequestHandler):
    """Accepts and closes, as a userland port proxy with nothing behind it; a datagram is not answered."""


class Resets(socketserver.BaseRequestHandler):
    """Accepts and resets, whether something was sent or not."""

    def handle(self) -> None:
        if isinstance(self.request, socket.socket):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.request.close()


class Mute(socketserver.BaseRequestHandler):
    """Accepts, reads, and never answers."""

    def handle(self) -> None:
        while isinstance(self.request, socket.socket) and self.request.recv(4096):
            pass


class Talks(socketserver.BaseRequestHandler):
    """Answers everybody with a line of its own."""

    def handle(self) -> None:
        self.say(b"SSH-2.0-other\r\n")

    def say(self, data: bytes) -> None:
        if isinstance(self.request, socket.socket):
            self.request.sendall(data)
        else:
            self.request[1].sendto(data, self.client_address)


class Echoes(Talks):
    """Gives back what it got."""

    def handle(self) -> None:
        self.say(self.request.recv(4096) if isinstance(self.request, socket.socket) else self.request[0])


class Full(socketserver.BaseRequestHandler):
    """Has a full accept queue: one connection waits in it, and none is ever accepted."""


DOES = {"closes": Closes, "resets": Resets, "mute": Mute, "talks": Talks, "echoes": Echoes, "full": Full}


class Tcp(socketserver.ThreadingTCPServer):
    """Address family by the spelling of the address."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, port: int, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if handler is Full:
            self.request_queue_size = 0  # listen(2): room for one
        super().__init__((address, port), handler)


class Udp(socketserver.ThreadingUDPServer):
    """The same over UDP."""

    daemon_threads = True

    def __init__(self, address: str, port: int, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), handler)


def main(does: str, address: str, port: int) -> None:
    """Serve for ever."""
    handler = DOES[does]
    tcp, udp = Tcp(address, port, handler), Udp(address, port, handler)
    threading.Thread(target=udp.serve_forever, daemon=True).start()
    if handler is Full:
        with socket.create_connection((address, port)):
            print("listens", flush=True)
            threading.Event().wait()
    print("listens", flush=True)
    tcp.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

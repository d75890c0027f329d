"""One probe: a cell, its socket, its deadline, and the evidence of how far it came. What TCP and UDP share."""

import errno
import os
import socket
import time
from typing import Any, Dict, Optional, Tuple

from netprobe.kernel import error_queue
from netprobe.kernel.constants import SO_BINDTODEVICE
from netprobe.kernel.error_queue import QueuedError
from netprobe.prober.loop import Loop, Watched
from netprobe.prober.sockets import can_have_seen, errno_name, is_link_local, socket_address
from netprobe.prober.wire import Address, pattern, read_reply

__all__ = ["CHUNK", "Context", "Probe", "sample"]

CHUNK = 65536


class Context:
    """What a probe knows of its run and reports to it; :mod:`netprobe.prober.engine` fills it in."""

    loop: Loop
    nonce: str
    timeout: float  # seconds
    payload_size: int  # bytes

    def silent(self, probe: "Probe") -> None:
        """No answer in time: end the probe, or have it ask again later."""
        raise NotImplementedError

    def ended(self, probe: "Probe", evidence: Dict[str, Any]) -> None:
        """The probe is over; this is what came of it."""
        raise NotImplementedError

    def self_connected(self, challenge: str, port: int, peer: Address) -> None:
        """A probe of this run arrived from ``peer`` at one of its own sockets, bound to ``port``."""
        raise NotImplementedError

    def source_for(self, cell: Dict[str, Any]) -> Optional[str]:
        """The source address that the routing tables give for the cell's destination."""
        raise NotImplementedError


class Probe(Watched):
    """A cell on its way through socket, bind, connect, answer and payload: ``stage`` says how far it has come."""

    def __init__(self, context: Context, cell: Dict[str, Any]) -> None:
        self.context = context
        self.cell = cell
        # Whoever asks may give the beginning, by which it knows whose answer it is; the rest is new for each probe.
        self.challenge = str(cell.get("challenge") or "") + os.urandom(16).hex()
        self.stage = "socket"
        self.icmp: Optional[QueuedError] = None
        self.evidence: Dict[str, Any] = {"attempts": 0}
        self.started_at = 0.0
        self.sent_at = 0.0
        self.paced = False  # it asks again, alone, behind an ICMP rate limit
        self.received = b""
        self.payload = b""
        self.payload_sent = 0
        self.payload_received = 0

    def start(self) -> None:
        """Open the socket and begin. Raises OSError, OverflowError, ValueError."""
        raise NotImplementedError

    def push(self) -> None:
        """Send payload."""
        raise NotImplementedError

    def open(self, kind: int) -> Tuple[socket.socket, Address]:
        """A socket with all that the cell asks for, and the address to send to."""
        cell = self.cell
        family = socket.AF_INET6 if ":" in cell["address"] else socket.AF_INET
        self.stage = "socket"
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            error_queue.ask_for_errors(sock)
            if kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if cell.get("device"):
                if SO_BINDTODEVICE is None:
                    raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
                sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, cell["device"].encode() + b"\0")
            if cell.get("source"):
                self.stage = "bind"
                sock.bind(socket_address(cell["source"], 0, cell.get("source_zone") or cell.get("zone")))
            self.stage = "connect"
            if is_link_local(cell["address"]) and not cell.get("zone"):
                raise OSError(errno.EINVAL, "link-local address without a zone")  # sendto() would guess one
            return sock, socket_address(cell["address"], cell["port"], cell.get("zone"))
        except BaseException:
            sock.close()
            raise

    def fail(self, error: BaseException) -> None:
        """End with the system's error, and with what the network reported about it."""
        self.read_error_queue()
        self.end(
            "error",
            errno=errno_name(getattr(error, "errno", None)),
            error=str(getattr(error, "strerror", None) or error),
        )

    def fail_with(self, number: int) -> None:
        """End with an errno that no call has raised."""
        self.fail(OSError(number, os.strerror(number)))

    def read_error_queue(self) -> Optional[int]:
        """Empty the error queue and keep the last entry; the errno of one that is fatal.

        EMSGSIZE is not: it reports the path's MTU, and the kernel goes on with smaller packets.
        """
        fatal = None
        for queued in error_queue.take_errors(self.sock):
            self.icmp = queued
            if queued.errno != "EMSGSIZE":
                fatal = queued.number
        return fatal

    def read_reply(self, line: bytes) -> Optional[Dict[str, Any]]:
        """What a listener of this run answers to this probe; None for anything else."""
        reply = read_reply(self.context.nonce, self.challenge, line)
        if reply is None or not can_have_seen(self.cell["address"], reply["observed"], reply["local"]):
            return None
        return reply

    def answered(self, reply: Dict[str, Any]) -> None:
        """Keep what the listener proved; the payload, if one is wanted, follows."""
        self.evidence["rtt_ms"] = round((time.perf_counter() - self.sent_at) * 1000, 3)
        self.evidence.update(reply)
        if not self.context.payload_size:
            self.end("proof")
            return
        self.stage = "payload"
        self.payload = pattern(self.challenge, self.context.payload_size)
        self.context.loop.wake(self, time.perf_counter() + self.context.timeout)
        self.push()

    def end(self, result: str, **more: Any) -> None:
        """Close the socket and report."""
        if self.finished:
            return
        self.finished = True
        now = time.perf_counter()
        evidence = {
            "cell": self.cell["id"],
            "result": result,
            "stage": self.stage,
            "errno": None,
            "error": None,
            "icmp": None if self.icmp is None else self.icmp._asdict(),
            "elapsed_ms": round((now - self.started_at) * 1000, 3),
            "challenge": self.challenge,
        }
        evidence.update(self.evidence)
        if self.payload:
            evidence.update(
                payload_size=len(self.payload), payload_sent=self.payload_sent, payload_received=self.payload_received
            )
        evidence.update(more)
        self.context.ended(self, evidence)


def sample(data: bytes) -> Optional[str]:
    """The beginning of what somebody else sent."""
    return data[:60].decode("latin-1") if data else None

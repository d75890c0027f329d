"""UDP: ask from an unconnected socket, so that an answer from another address is seen; three times before silence.

An unconnected socket hears everybody, and a port scan or a stray datagram says nothing about the port that was asked.
So what has the proof counts wherever it comes from (that is what the socket is open for), and anything else only from
the very address and port that were asked; the rest changes nothing, not even how long is waited.
"""

import errno
import selectors
import socket
import time
from typing import Any, Dict, Optional

from netprobe.kernel import error_queue
from netprobe.prober.pacing import PACE_GRACE_S, PACE_S
from netprobe.prober.probe import CHUNK, Probe, sample
from netprobe.prober.sockets import is_loopback, packed
from netprobe.prober.wire import PROTOCOL, Address, probe_line, read_probe

__all__ = ["UdpProbe"]

ANY = ("0.0.0.0", "::", "::ffff:0.0.0.0")
ATTEMPTS = 3
WRONG_ANSWER_GRACE_S = 0.25  # how long the right answer may still come after a wrong one
DATAGRAM_LIMIT = 60000  # bytes of payload in one datagram
EARLY_S = 0.001  # a timer may come this much before the deadline that it stands for


class UdpProbe(Probe):
    """One socket for all attempts, so that a late answer to the first one counts."""

    target: Address = ()
    deadline = 0.0
    connected = False
    foreign: Optional[Dict[str, Any]] = None  # the first answer that was not a listener's of this run
    listener: Address = ()  # where the proof came from
    pushed = False  # the payload's time runs
    dropped: Optional[OSError] = None  # what was sent last has not left: the own interface has dropped it

    def start(self) -> None:
        """Open the socket and ask for the first time."""
        now = time.perf_counter()
        self.started_at = self.started_at or now
        if self.sock is None:
            self.sock, self.target = self.open(socket.SOCK_DGRAM)
            self.context.loop.watch(self, selectors.EVENT_READ)
        self.deadline = now + (PACE_S + PACE_GRACE_S if self.paced else self.context.timeout)
        self._ask()

    def due(self) -> None:
        """No answer yet: ask again, or conclude."""
        code = self.read_error_queue()
        if code:
            self.fail_with(code)
        elif self.foreign is not None:
            self.end("foreign", **self.foreign)
        elif time.perf_counter() < self.deadline - EARLY_S:
            if self.stage == "payload":
                self.push()
            else:
                self._ask()
        elif self.dropped is not None:
            self.fail(self.dropped)
        else:
            self.context.silent(self)

    def ready(self, events: int) -> None:
        """A datagram or an error came."""
        code = self.read_error_queue()
        if code:
            self.fail_with(code)
            return
        assert self.sock is not None
        try:
            data, peer = self.sock.recvfrom(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(error)
            return
        if self.stage == "payload":
            self._take_payload(data, peer)
        else:
            self._take(data, peer)

    def push(self) -> None:
        """Send the payload as one datagram, again and again until the time is up."""
        now = time.perf_counter()
        if not self.pushed:
            self.pushed = True
            self.deadline = now + self.context.timeout
            self.payload = self.payload[:DATAGRAM_LIMIT]
        self.context.loop.wake(self, min(self.deadline, now + self.context.timeout / ATTEMPTS))
        line = probe_line(self.context.nonce, self.challenge, len(self.payload))
        try:
            self._send(line + self.payload)
            self.payload_sent = len(self.payload)
            self.dropped = None
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                self.fail(error)
            else:
                self.dropped = error  # send(2): "may be caused by transient congestion", so once more

    def _ask(self) -> None:
        """Send the line; three times in all, each after a third of the time that is left."""
        assert self.sock is not None
        self.evidence["attempts"] += 1
        now = time.perf_counter()
        attempt = self.evidence["attempts"]
        if self.paced:
            self.context.loop.wake(self, min(self.deadline, now + PACE_S))
        else:
            again = now + (self.deadline - now) / ATTEMPTS
            self.context.loop.wake(self, again if attempt < ATTEMPTS else self.deadline)
        if attempt == ATTEMPTS and not error_queue.HAS_ERROR_QUEUE:
            # Without an error queue only a connected socket learns of a closed port.
            self.connected = self.sock.connect_ex(self.target) == 0
        try:
            self.stage = "connect"
            self._send(probe_line(self.context.nonce, self.challenge, 0))
        except (BlockingIOError, InterruptedError):
            if not self.sock.getsockname()[1]:  # not busy: Linux says EAGAIN, too, where no client port is left
                self.fail_with(errno.EADDRINUSE)
                return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                self.fail(error)
            else:
                self.dropped = error  # as in push()
            return
        self.stage = "answer"
        self.dropped = None

    def _send(self, data: bytes) -> None:
        """Send one datagram. An ICMP error of the last one comes up here instead: that is for the error queue."""
        assert self.sock is not None
        self.sent_at = time.perf_counter()
        for _ in range(2):
            try:
                if self.connected:
                    self.sock.send(data)
                else:
                    self.sock.sendto(data, self.target)
                return
            except OSError:
                # EMSGSIZE reports the path's MTU: the kernel cuts the next one accordingly (ip(7), IP_MTU_DISCOVER).
                if self.read_error_queue() is not None or self.icmp is None or self.icmp.errno != "EMSGSIZE":
                    raise

    def _take(self, data: bytes, peer: Address) -> None:
        """Check one datagram."""
        assert self.sock is not None
        own = self.sock.getsockname()
        asked = read_probe(self.context.nonce, data.partition(b"\n")[0])
        if asked is not None and (asked[0] != self.challenge or own[1] == self.target[1]):
            # A question of this run: our port happens to be the one that is asked, so nothing else listens there.
            self.context.self_connected(asked[0], own[1], peer)
            return
        reply = self.read_reply(data)
        if reply is None:
            if data.startswith(b"%s reply " % PROTOCOL.encode()) and self.challenge.encode() not in data:
                return  # a late answer to somebody else's question
            if self.foreign is None and self._was_asked(peer):
                self.stage = "answer"  # also where a later question found no room in the socket
                self.foreign = {"sample": sample(data), "replied_from": peer[0]}
                self.context.loop.wake(self, min(self.deadline, time.perf_counter() + WRONG_ANSWER_GRACE_S))
            return
        source = own[0] if own[0] not in ANY else self.context.source_for(self.cell)
        self.stage, self.foreign, self.listener = "answer", None, peer
        self.evidence.update(source=source, source_port=own[1], replied_from=peer[0])
        self.answered(reply)

    def _was_asked(self, peer: Address) -> bool:
        """Is ``peer`` the address and the port that were asked? Asking a wildcard address asks this very host."""
        if peer[1] != self.target[1]:
            return False
        sender, asked = peer[0].partition("%")[0], self.target[0]
        if asked in ANY:
            return is_loopback(sender) or sender == self.context.source_for(self.cell)
        if peer[3:] and self.target[3:] and self.target[3] and peer[3] != self.target[3]:
            return False  # the same link-local address on another link
        return packed(sender) == packed(asked)

    def _take_payload(self, data: bytes, peer: Address) -> None:
        """The whole datagram must come back behind the reply line, from where the proof came."""
        line, _, rest = data.partition(b"\n")
        if peer[:2] != self.listener[:2] or self.read_reply(line) is None or not rest:
            return
        self.payload_received = len(rest)
        self.end("proof" if rest == self.payload else "corrupt")

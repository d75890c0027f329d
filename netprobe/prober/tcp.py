"""TCP: connect, send the line, read the answer, and the payload if one is wanted."""

import selectors
import socket
import time

from netprobe.prober.pacing import PACE_GRACE_S, PACE_S
from netprobe.prober.probe import CHUNK, Probe, sample
from netprobe.prober.sockets import CONNECTING
from netprobe.prober.wire import LINE_LIMIT, probe_line

__all__ = ["TcpProbe"]

SELF_CONNECTS = 3  # how often a handshake with ourselves is tried again


class TcpProbe(Probe):
    """A connection of its own. An ICMP error on an established one does not end it: TCP tries on, and so do we."""

    self_connects = 0
    reset_by = 0  # the error that came with the end of the stream: what was sent before it is read first
    last_error = 0  # the last ICMP error of the established connection, reported when the time is up

    def start(self) -> None:
        """Begin to connect."""
        self.started_at = self.started_at or time.perf_counter()
        self.evidence["attempts"] += 1
        self.stage = "connect"
        self.received = b""
        self.sock, target = self.open(socket.SOCK_STREAM)
        self.context.loop.watch(self, selectors.EVENT_WRITE)
        if self.paced:
            # Long enough for the kernel's second SYN, a second after the first (RFC 6298 section 2).
            self.context.loop.wake(self, time.perf_counter() + PACE_S + PACE_GRACE_S)
        else:
            self.context.loop.wake(self, self.started_at + self.context.timeout)
        code = self.sock.connect_ex(target)
        own = self.sock.getsockname()
        if own[1]:  # the listener's kernel knows the connection by it, answered or not
            self.evidence.update(source=own[0], source_port=own[1])
        if code not in CONNECTING:
            if self.self_connects:
                self.end("self")  # its port is taken by the first attempt's remains, and nobody else has it
            else:
                self.fail_with(code)

    def due(self) -> None:
        """The time is up."""
        code = self.read_error_queue() or self.last_error
        if code:
            self.fail_with(code)
        else:
            self.context.silent(self)

    def ready(self, events: int) -> None:
        """Something happened on the socket."""
        assert self.sock is not None
        code = self.read_error_queue() or self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code and self.stage != "payload" and not (events & selectors.EVENT_READ and self.stage == "answer"):
            self.fail_with(code)
            return
        self.reset_by = code
        if self.stage == "connect" and events & selectors.EVENT_WRITE:
            self._connected()
        elif self.stage in ("answer", "payload"):
            if events & selectors.EVENT_READ:
                self._read()
            if not self.finished and self.stage == "payload" and events & selectors.EVENT_WRITE:
                self.push()

    def push(self) -> None:
        """Send as much payload as the socket takes."""
        assert self.sock is not None
        try:
            self.payload_sent += self.sock.send(self.payload[self.payload_sent : self.payload_sent + CHUNK])
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.fail(error)
            return
        unsent = self.payload_sent < len(self.payload)
        self.context.loop.watch(self, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))

    def _connected(self) -> None:
        """The handshake is done: send the line, unless it was with ourselves."""
        assert self.sock is not None
        try:
            own, peer = self.sock.getsockname(), self.sock.getpeername()
        except OSError as error:  # reset since the event: the socket has no peer any more
            self.fail_with(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or error.errno or 0)
            return
        self.evidence.update(source=own[0], source_port=own[1], replied_from=peer[0])
        self.evidence["connect_ms"] = round((time.perf_counter() - self.started_at) * 1000, 3)
        if own[:2] == peer[:2]:
            self._connect_again()
            return
        self.stage = "answer"
        self.sent_at = time.perf_counter()
        try:
            self.sock.send(probe_line(self.context.nonce, self.challenge, self.context.payload_size))
        except OSError as error:
            self.fail(error)
            return
        self.context.loop.watch(self, selectors.EVENT_READ)

    def _connect_again(self) -> None:
        """The port was picked for a moment by our own client (simultaneous open, RFC 9293 section 3.5)."""
        assert self.sock is not None
        self.self_connects += 1
        if self.self_connects > SELF_CONNECTS:
            self.end("self")
            return
        self.context.loop.unwatch(self)
        self.sock.close()
        try:
            self.start()
        except (OSError, OverflowError, ValueError) as error:
            self.fail(error)

    def _read(self) -> None:
        """Read the answer or the payload that comes back."""
        assert self.sock is not None
        try:
            data = self.sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            self.last_error = self.reset_by or self.last_error
            return
        except OSError as error:
            self.fail(error)
            return
        if not data and self.reset_by:
            self.fail_with(self.reset_by)
        elif not data:
            self.end("closed", sample=sample(self.received))
        elif self.stage == "payload":
            self._take_payload(data)
        else:
            self.received += data
            line, newline, rest = self.received.partition(b"\n")
            if newline or len(self.received) > LINE_LIMIT:
                reply = self.read_reply(line)
                if reply is None:
                    self.end("foreign", sample=sample(self.received))
                else:
                    self.answered(reply)
                    if rest and not self.finished:
                        self._take_payload(rest)

    def _take_payload(self, data: bytes) -> None:
        """Compare what came back with what was sent. What was not sent yet cannot come back: it was guessed."""
        begin, end = self.payload_received, self.payload_received + len(data)
        if end > self.payload_sent or self.payload[begin:end] != data:
            self.end("corrupt")
            return
        self.payload_received = end
        if end >= len(self.payload):
            self.end("proof")

"""The prober: the one module that travels. It probes for every vantage, `local` too.

It must run from stdin on any Python since 3.6 with nothing but the standard library, on Linux, macOS, the BSDs and
Windows; so it carries the few constants that it needs itself and names nothing of netprobe. Far away, the text of
this file is followed by ``main("<request as JSON>")``; here, :func:`run` is called in a thread.

One request, all cells at once, one selectors loop. JSON lines come out: a hello with the facts of the place, one
line of evidence per cell, and a last line ``{"done": true}``. Evidence is raw (errno, ICMP, addresses, times): what
it means is decided by the table in ``netprobe/outcome/failures.py``.

On the wire (TCP: at the start of the stream; UDP: one datagram), both lines end with a newline::

    netprobe/1 probe <challenge> <proof> <size>
    netprobe/1 reply <challenge> <listener> <peer> <port> <local> <proof>

then ``size`` bytes of payload each way. A proof is HMAC-SHA256 with the nonce of the run over the other fields, so
that neither side can be played by somebody who does not know it; the nonce itself never travels between them.
"""

import collections
import errno
import heapq
import hmac
import json
import os
import platform
import selectors
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple

PROTOCOL = "netprobe/1"
REQUEST_VERSION = 1
MARGIN_S = 5.0  # how much longer than its time-outs a travelling payload may live
PATIENCE_S = 5.0  # how long cells behind an ICMP rate limit are asked again, one a second
PACE_S = 1.05  # Linux answers one ICMP error a second and peer (net.ipv4.icmp_ratelimit)
PACE_GRACE_S = 0.25  # how long the answer to a paced question may take
WRONG_ANSWER_GRACE_S = 0.25  # how long the right answer may still come after a wrong one (UDP)
LINE_LIMIT = 512
CHUNK = 65536
ANY_ZONE = "*"  # as a cell's zone: ask on every link, and report the best that came of it
DATAGRAM_LIMIT = 60000  # bytes of payload in one UDP datagram

IP_RECVERR = 11  # ip(7)
IPV6_RECVERR = 25  # ipv6(7)
SOL_IPV6 = 41
SO_BINDTODEVICE = getattr(socket, "SO_BINDTODEVICE", 25)  # socket(7)
MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0x2000)  # recv(2)
HAS_ERROR_QUEUE = sys.platform.startswith("linux") and hasattr(socket.socket, "recvmsg")
ORIGINS = {1: "local", 2: "icmp", 3: "icmp6"}  # SO_EE_ORIGIN_*, ip(7)
UNDER_WAY = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 10035))  # 10035: WSAEWOULDBLOCK
NO_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, 10024))  # 10024: WSAEMFILE

Emit = Callable[[Dict[str, Any]], None]
Address = Tuple[Any, ...]


# The wire format, shared with the listener.


def proof(nonce: str, *fields: object) -> str:
    """The half of HMAC-SHA256 that is sent: 128 bits, in hex."""
    text = " ".join(str(field) for field in fields)
    return hmac.new(nonce.encode(), text.encode(), "sha256").hexdigest()[:32]


def probe_line(nonce: str, challenge: str, size: int) -> bytes:
    """What a client says first."""
    return "{} probe {} {} {}\n".format(PROTOCOL, challenge, proof(nonce, "probe", challenge, size), size).encode()


def read_probe(nonce: str, line: bytes) -> Optional[Tuple[str, int]]:
    """Challenge and payload size of a probe of this run; None for anybody else's line."""
    words = line.split()
    if len(words) != 5 or words[:2] != [PROTOCOL.encode(), b"probe"] or not words[4].isdigit():
        return None
    try:
        challenge, claimed, size = words[2].decode("ascii"), words[3].decode("ascii"), int(words[4])
    except ValueError:
        return None
    if not hmac.compare_digest(claimed, proof(nonce, "probe", challenge, size)):
        return None
    return challenge, size


def reply_line(nonce: str, challenge: str, listener: str, peer: Address, local: str) -> bytes:
    """What the listener answers: who it is, and whom it sees."""
    fields = (challenge, listener, peer[0], peer[1], local)
    words = (PROTOCOL, "reply") + fields + (proof(nonce, "reply", *fields),)
    return " ".join(str(word) for word in words).encode() + b"\n"


def read_reply(nonce: str, challenge: str, line: bytes) -> Optional[Dict[str, Any]]:
    """What a listener of this run says in answer to ``challenge``; None for anything else."""
    try:
        words = line.decode("ascii").split()
    except ValueError:
        return None
    if len(words) != 8 or words[:3] != [PROTOCOL, "reply", challenge]:
        return None
    if not hmac.compare_digest(words[7], proof(nonce, "reply", *words[2:7])):
        return None
    return {"listener": words[3], "observed": words[4], "observed_port": int(words[5]), "local": words[6]}


def pattern(challenge: str, size: int) -> bytes:
    """``size`` bytes of payload that nobody else would send."""
    seed = challenge.encode() or b"-"
    return (seed * (size // len(seed) + 1))[:size]


# One probe: one socket on its way through connect, answer, payload.


class Probe:
    """What the two protocols share: a cell, its socket, its deadline, its evidence."""

    def __init__(self, prober: "Prober", cell: Dict[str, Any]) -> None:
        self.prober = prober
        self.cell = cell
        self.challenge = os.urandom(16).hex()
        self.sock: Optional[socket.socket] = None
        self.stage = "socket"
        self.icmp: Optional[Dict[str, Any]] = None
        self.evidence: Dict[str, Any] = {"attempts": 0}
        self.begun = 0.0
        self.sent_at = 0.0
        self.finished = False
        self.paced = False
        self.received = b""
        self.payload = b""
        self.payload_sent = 0
        self.payload_received = 0

    def open(self, kind: int) -> Tuple[socket.socket, Address]:
        """A socket with all that the cell asks for, and the address to send to."""
        cell = self.cell
        family = socket.AF_INET6 if ":" in cell["address"] else socket.AF_INET
        self.stage = "socket"
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            ask_for_errors(sock)
            if kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if cell.get("device"):
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
        """End with what the system said, and what the network said about it."""
        number = getattr(error, "errno", None)
        self.read_error_queue()
        self.end(
            "error",
            errno=None if number is None else errno.errorcode.get(number, str(number)),
            error=str(getattr(error, "strerror", None) or error),
        )

    def read_error_queue(self) -> Optional[int]:
        """Take all that waits in the error queue; keep the last; the errno of a fatal one is returned."""
        fatal = None
        for said in take_errors(self.sock):
            self.icmp = said
            if said["errno"] != "EMSGSIZE":
                fatal = said["number"]
        return fatal

    def end(self, result: str, **more: Any) -> None:
        """Close, report, make room for the next cell."""
        if self.finished:
            return
        self.finished = True
        now = time.perf_counter()
        said = {
            "cell": self.cell["id"],
            "result": result,
            "stage": self.stage,
            "errno": None,
            "error": None,
            "icmp": self.icmp,
            "elapsed_ms": round((now - self.begun) * 1000, 3),
            "challenge": self.challenge,
        }
        said.update(self.evidence)
        if self.payload:
            said.update(
                payload_size=len(self.payload), payload_sent=self.payload_sent, payload_received=self.payload_received
            )
        said.update(more)
        if self.is_limited_answer():
            self.prober.limiting.add(self.prober.limit_key(self.cell))
            self.prober.silences.pop(self.cell["address"], None)
        self.prober.forget(self)
        self.prober.report(said)

    def is_limited_answer(self) -> bool:
        """Was the end an ICMP error of another machine? Those are sent at a limited rate (RFC 1812 section 4.3.2.8)."""
        icmp = self.icmp
        return bool(icmp and icmp["origin"] in ("icmp", "icmp6") and icmp["offender"] not in self.prober.own)

    def silence(self) -> None:
        """No answer in time: say so, or ask again slowly if the other side is known to limit its ICMP errors."""
        if self.stage in ("payload", "bind"):
            self.end("timeout")
        elif self.paced:
            self.prober.silent_again(self)
            self.end("timeout")
        elif self.prober.is_rate_limited(self) and not self.evidence.get("connect_ms"):
            self.prober.pace(self)
        else:
            self.end("timeout")

    def answered(self, reply: Dict[str, Any]) -> None:
        """Keep what the listener proved; the payload, if one is wanted, follows."""
        self.evidence["rtt_ms"] = round((time.perf_counter() - self.sent_at) * 1000, 3)
        self.evidence.update(reply)
        size = int(self.prober.request.get("payload") or 0)
        if not size:
            self.end("proof")
            return
        self.stage = "payload"
        self.payload = pattern(self.challenge, size)
        self.prober.wake(self, time.perf_counter() + self.prober.timeout)
        self.push()

    def start(self) -> None:
        """Open the socket and begin."""
        raise NotImplementedError

    def ready(self, events: int) -> None:
        """Something happened on the socket."""
        raise NotImplementedError

    def due(self) -> None:
        """The time that was asked for has come."""
        raise NotImplementedError

    def push(self) -> None:
        """Send payload."""
        raise NotImplementedError


class TcpProbe(Probe):
    """connect, say the line, read the answer."""

    tries = 0
    reset_by = 0  # the error that came with the end of the stream: what was sent before it is read first
    heard = 0  # the last ICMP error of an established connection: TCP tries on, and so do we until the time is up

    def start(self) -> None:
        """Begin to connect."""
        self.begun = self.begun or time.perf_counter()
        self.evidence["attempts"] += 1
        self.stage = "connect"
        self.received = b""
        self.sock, target = self.open(socket.SOCK_STREAM)
        self.prober.watch(self, selectors.EVENT_WRITE)
        if self.paced:
            # Long enough for the kernel's second SYN, a second after the first (RFC 6298 section 2).
            self.prober.wake(self, time.perf_counter() + PACE_S + PACE_GRACE_S)
        else:
            self.prober.wake(self, self.begun + self.prober.timeout)
        code = self.sock.connect_ex(target)
        if code not in UNDER_WAY:
            if self.tries:
                self.end("self")  # its port is taken by the first attempt's remains, and nobody else has it
            else:
                self.fail(OSError(code, os.strerror(code)))

    def due(self) -> None:
        """The time is up."""
        code = self.read_error_queue() or self.heard
        if code:
            self.fail(OSError(code, os.strerror(code)))
        else:
            self.silence()

    def ready(self, events: int) -> None:
        """Something happened on the socket."""
        assert self.sock is not None
        code = self.read_error_queue() or self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code and self.stage != "payload" and not (events & selectors.EVENT_READ and self.stage == "answer"):
            self.fail(OSError(code, os.strerror(code)))
            return
        self.reset_by = code
        if self.stage == "connect" and events & selectors.EVENT_WRITE:
            self.connected()
        elif self.stage in ("answer", "payload"):
            if events & selectors.EVENT_READ:
                self.read()
            if not self.finished and self.stage == "payload" and events & selectors.EVENT_WRITE:
                self.push()

    def connected(self) -> None:
        """The handshake is done: say the line, unless we met ourselves."""
        assert self.sock is not None
        own, peer = self.sock.getsockname(), self.sock.getpeername()
        self.evidence.update(source=own[0], source_port=own[1], replied_from=peer[0])
        self.evidence["connect_ms"] = round((time.perf_counter() - self.begun) * 1000, 3)
        if own[:2] == peer[:2]:
            self.tries += 1
            if self.tries > 3:
                self.end("self")
                return
            # The port was picked for a moment by our own client (simultaneous open, RFC 9293 section 3.5): ask again.
            self.prober.unwatch(self)
            self.sock.close()
            try:
                self.start()
            except (OSError, OverflowError, ValueError) as error:
                self.fail(error)
            return
        self.stage = "answer"
        size = int(self.prober.request.get("payload") or 0)
        self.sent_at = time.perf_counter()
        try:
            self.sock.send(probe_line(self.prober.nonce, self.challenge, size))
        except OSError as error:
            self.fail(error)
            return
        self.prober.watch(self, selectors.EVENT_READ)

    def read(self) -> None:
        """Read the answer or the payload that comes back."""
        assert self.sock is not None
        try:
            data = self.sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            self.heard = self.reset_by or self.heard
            return
        except OSError as error:
            self.fail(error)
            return
        if not data and self.reset_by:
            self.fail(OSError(self.reset_by, os.strerror(self.reset_by)))
        elif not data:
            self.end("closed", sample=sample(self.received))
        elif self.stage == "payload":
            self.take_payload(data)
        else:
            self.received += data
            line, newline, rest = self.received.partition(b"\n")
            if newline or len(self.received) > LINE_LIMIT:
                reply = read_reply(self.prober.nonce, self.challenge, line)
                if reply is None:
                    self.end("foreign", sample=sample(self.received))
                else:
                    self.answered(reply)
                    if rest and not self.finished:
                        self.take_payload(rest)

    def take_payload(self, data: bytes) -> None:
        """Compare what came back with what was sent."""
        begin, end = self.payload_received, self.payload_received + len(data)
        if self.payload[begin:end] != data:
            self.end("corrupt")
            return
        self.payload_received = end
        if end >= len(self.payload):
            self.end("proof")

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
        self.prober.watch(self, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))


class UdpProbe(Probe):
    """Ask from an unconnected socket, so that an answer from another address is seen; ask again before silence."""

    target: Address = ()
    deadline = 0.0
    connected = False
    foreign: Optional[Dict[str, Any]] = None

    def start(self) -> None:
        """Open the socket and ask for the first time."""
        now = time.perf_counter()
        self.begun = self.begun or now
        if self.sock is None:
            self.sock, self.target = self.open(socket.SOCK_DGRAM)
            self.prober.watch(self, selectors.EVENT_READ)
        self.deadline = now + (PACE_S + PACE_GRACE_S if self.paced else self.prober.timeout)
        self.ask()

    def ask(self) -> None:
        """Send the line; three times in all, each after a third of the time that is left."""
        assert self.sock is not None
        self.evidence["attempts"] += 1
        now = time.perf_counter()
        attempt = self.evidence["attempts"]
        if self.paced:
            self.prober.wake(self, min(self.deadline, now + PACE_S))
        else:
            self.prober.wake(self, now + (self.deadline - now) / 3 if attempt < 3 else self.deadline)
        if attempt == 3 and not HAS_ERROR_QUEUE:
            # Without an error queue only a connected socket is told of a closed port.
            self.connected = self.sock.connect_ex(self.target) == 0
        try:
            self.stage = "connect"
            self.send(probe_line(self.prober.nonce, self.challenge, 0))
        except (BlockingIOError, InterruptedError):
            if not self.sock.getsockname()[1]:  # not busy: Linux says EAGAIN, too, where no client port is left
                self.fail(OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
                return
        except OSError as error:
            self.fail(error)
            return
        self.stage = "answer"

    def send(self, data: bytes) -> None:
        """One datagram. An ICMP error of the last one comes up here instead: that is for the error queue."""
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
                # EMSGSIZE told us the path's MTU: the kernel cuts the next one accordingly (ip(7), IP_MTU_DISCOVER).
                if self.read_error_queue() is not None or not self.icmp or self.icmp["errno"] != "EMSGSIZE":
                    raise

    def due(self) -> None:
        """No answer yet: ask again, or conclude."""
        code = self.read_error_queue()
        if code:
            self.fail(OSError(code, os.strerror(code)))
        elif self.foreign is not None:
            self.end("foreign", **self.foreign)
        elif time.perf_counter() < self.deadline - 0.001:
            if self.stage == "payload":
                self.push()
            else:
                self.ask()
        else:
            self.silence()

    def ready(self, events: int) -> None:
        """A datagram or an error came."""
        code = self.read_error_queue()
        if code:
            self.fail(OSError(code, os.strerror(code)))
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
            self.take_payload(data)
        else:
            self.take(data, peer)

    def take(self, data: bytes, peer: Address) -> None:
        """Judge one datagram."""
        assert self.sock is not None
        own = self.sock.getsockname()
        asked = read_probe(self.prober.nonce, data.partition(b"\n")[0])
        if asked is not None and (asked[0] != self.challenge or own[1] == self.target[1]):
            # A question of this run: our port happens to be the one that is asked, so nothing else listens there.
            self.prober.met_itself(asked[0], own[1])
            return
        reply = read_reply(self.prober.nonce, self.challenge, data)
        if reply is None:
            if data.startswith(b"%s reply " % PROTOCOL.encode()) and self.challenge.encode() not in data:
                return  # a late answer to somebody else's question
            self.foreign = {"sample": sample(data), "replied_from": peer[0]}
            self.prober.wake(self, min(self.deadline, time.perf_counter() + WRONG_ANSWER_GRACE_S))
            return
        source = own[0] if own[0] not in ("0.0.0.0", "::") else self.prober.source_for(self.cell)
        self.evidence.update(source=source, source_port=own[1], replied_from=peer[0])
        self.answered(reply)

    def push(self) -> None:
        """The payload goes as one datagram, again and again until the time is up."""
        now = time.perf_counter()
        if not self.payload_sent:
            self.deadline = now + self.prober.timeout
            self.payload = self.payload[:DATAGRAM_LIMIT]
        self.prober.wake(self, min(self.deadline, now + self.prober.timeout / 3))
        line = probe_line(self.prober.nonce, self.challenge, len(self.payload))
        try:
            self.send(line + self.payload)
            self.payload_sent = len(self.payload)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.fail(error)

    def take_payload(self, data: bytes) -> None:
        """The whole datagram must come back behind the reply line."""
        line, _, rest = data.partition(b"\n")
        if read_reply(self.prober.nonce, self.challenge, line) is None or not rest:
            return
        self.payload_received = len(rest)
        self.end("proof" if rest == self.payload else "corrupt")


# The loop.


class Prober:
    """All cells of a request on one selectors loop."""

    def __init__(self, request: Dict[str, Any], emit: Emit, stopped: Optional[Callable[[], bool]] = None) -> None:
        self.request = request
        self.emit = emit
        self.stopped = stopped
        self.nonce = str(request["nonce"])
        self.timeout = float(request["timeout"])
        self.selector = selectors.DefaultSelector()
        self.waiting: Deque[Probe] = collections.deque()
        self.active: Dict[int, Probe] = {}
        self.timers: List[Tuple[float, int, Probe]] = []
        self.wakes: Dict[Probe, float] = {}
        self.sequence = 0
        self.slow: Deque[Probe] = collections.deque()
        self.slow_now: Optional[Probe] = None
        self.slow_until = 0.0
        self.limiting: Set[str] = set()
        self.own = {entry["address"] for entry in netlink_facts()[1]}
        self.limit = int(request.get("sockets") or descriptors_for(len(request["cells"])))
        self.full = False
        self.silences: Dict[str, int] = {}
        self.sources: Dict[str, Optional[str]] = {}
        self.variants: Dict[Any, Tuple[List[Probe], List[Dict[str, Any]]]] = {}  # by cell: probes, what they said

    def run(self) -> None:
        """Probe every cell; one report each."""
        for cell in self.request["cells"]:
            kind = UdpProbe if cell["protocol"] == "udp" else TcpProbe
            zones = link_zones() if cell.get("zone") == ANY_ZONE else [cell.get("zone")]
            probes: List[Probe] = [kind(self, dict(cell, zone=zone)) for zone in zones]
            self.variants[cell["id"]] = (probes, [])
            self.waiting.extend(probes)
        try:
            while self.waiting or self.active or self.slow:
                if self.stopped is not None and self.stopped():
                    break
                self.start_some()
                self.turn()
        finally:
            for probe in list(self.active.values()):
                self.forget(probe)
            self.selector.close()

    def start_some(self) -> None:
        """Start what waits, in bursts, so that answers are read (and timed) in between."""
        for _ in range(min(64, len(self.waiting), self.limit - len(self.active))):
            probe = self.waiting.popleft()
            if probe.finished:
                continue
            try:
                probe.start()
            except OSError as error:
                if error.errno in NO_DESCRIPTORS and probe.stage == "socket" and self.active:
                    self.waiting.appendleft(probe)
                    self.full = True
                    break
                probe.fail(error)
            except (OverflowError, ValueError) as error:
                probe.fail(error)
        if self.slow and self.slow_now is None:
            self.slow_now = self.slow.popleft()
            if self.slow_now.finished:
                self.slow_now = None
            elif time.perf_counter() > self.slow_until or self.silences.get(self.slow_now.cell["address"], 0) >= 2:
                self.slow_now.end("timeout", limited=True)
            else:
                self.slow_now.paced = True
                try:
                    self.slow_now.start()
                except OSError as error:
                    self.slow_now.fail(error)

    def turn(self) -> None:
        """Wait for the next event or deadline, and handle what is there."""
        now = time.perf_counter()
        pause = max(0.0, self.timers[0][0] - now) if self.timers else 0.05
        if self.stopped is not None:
            pause = min(pause, 0.1)
        may_start = not self.full and len(self.active) < self.limit
        if (self.waiting and may_start) or (self.slow and self.slow_now is None):
            pause = 0.0
        if self.selector.get_map():
            for key, events in self.selector.select(pause):
                probe = self.active.get(key.fd)
                if probe is not None and probe is key.data:
                    probe.ready(events)
        elif pause:
            time.sleep(pause)
        now = time.perf_counter()
        while self.timers and self.timers[0][0] <= now:
            when, _, probe = heapq.heappop(self.timers)
            if not probe.finished and self.wakes.get(probe) == when:
                del self.wakes[probe]
                probe.due()

    def watch(self, probe: Probe, events: int) -> None:
        """Wake ``probe`` on ``events`` of its socket."""
        assert probe.sock is not None
        number = probe.sock.fileno()
        if self.active.get(number) is probe:
            self.selector.modify(probe.sock, events, probe)
        else:
            self.active[number] = probe
            self.selector.register(probe.sock, events, probe)

    def unwatch(self, probe: Probe) -> None:
        """No more events."""
        if probe.sock is None:
            return
        number = probe.sock.fileno()
        if self.active.get(number) is probe:
            del self.active[number]
            self.selector.unregister(probe.sock)

    def wake(self, probe: Probe, when: float) -> None:
        """Call ``probe.due`` at ``when`` (the last word counts)."""
        self.sequence += 1
        self.wakes[probe] = when
        heapq.heappush(self.timers, (when, self.sequence, probe))

    def report(self, said: Dict[str, Any]) -> None:
        """Hand out a cell's evidence; of a cell that was asked on several links, once, the best."""
        probes, heard = self.variants[said["cell"]]
        heard.append(said)
        if rank(said) >= 2 or all(probe.finished for probe in probes):
            for probe in probes:
                if not probe.finished:
                    probe.finished = True
                    self.forget(probe)
            self.emit(max(heard, key=rank))

    def forget(self, probe: Probe) -> None:
        """Close the probe's socket."""
        self.unwatch(probe)
        self.full = False
        self.wakes.pop(probe, None)
        if self.slow_now is probe:
            self.slow_now = None
        if probe.sock is not None:
            probe.sock.close()

    def met_itself(self, challenge: str, port: int) -> None:
        """A question of ours came to one of our own sockets: the cell that asked has its answer."""
        for probe in list(self.active.values()):
            if probe.challenge == challenge and probe.cell["port"] == port:
                probe.end("self", replied_from=probe.cell["address"])

    # Cells that may have fallen to an ICMP rate limit are asked again one at a time, as long as that brings answers.

    def limit_key(self, cell: Dict[str, Any]) -> str:
        """Whose ICMP errors these are: one host's limit is shared by all its addresses."""
        address = str(cell["address"])
        return "host" if cell.get("host") and address not in self.own else address

    def is_rate_limited(self, probe: Probe) -> bool:
        """Did the host of this silent cell answer others with ICMP?"""
        return self.limit_key(probe.cell) in self.limiting

    def pace(self, probe: Probe) -> None:
        """Put the cell into the slow lane; its socket stays open for a late answer only when its turn comes."""
        if not self.slow_until:
            self.slow_until = time.perf_counter() + float(self.request.get("patience", PATIENCE_S))
        self.unwatch(probe)
        if probe.sock is not None:
            probe.sock.close()
            probe.sock = None
        self.slow.append(probe)

    def silent_again(self, probe: Probe) -> None:
        """A lone, paced probe stayed silent: two of those, and the rest of that address is taken as silent."""
        address = probe.cell["address"]
        self.silences[address] = self.silences.get(address, 0) + 1

    def source_for(self, cell: Dict[str, Any]) -> Optional[str]:
        """The source address that the routing table gives for the cell's destination."""
        key = "{}%{}".format(cell["address"], cell.get("zone"))
        if key not in self.sources:
            self.sources[key] = route(cell)["source"]
        return self.sources[key]


# The facts of the place, for the prediction.


def hello(request: Dict[str, Any]) -> Dict[str, Any]:
    """Who and where this prober is: what ``predict`` needs to know of a vantage."""
    routes: Dict[Tuple[str, Optional[str]], Dict[str, Any]] = {}
    for cell in request["cells"]:
        key = (cell["address"], cell.get("zone"))
        if key not in routes:
            routes[key] = dict(route(cell), destination=key[0], zone=key[1])
    links, addresses = netlink_facts()
    return {
        "version": REQUEST_VERSION,
        "os": platform.system(),
        "release": platform.release(),
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "stack": stack(),
        "links": links,
        "addresses": addresses if addresses else resolved_addresses(),
        "routes": list(routes.values()),
        "ipv6": has_ipv6(),
        "error_queue": HAS_ERROR_QUEUE,
    }


def stack() -> Optional[str]:
    """Which network stack this is (Linux: boot and network namespace): two vantages with one stack are one host."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:  # noqa: PTH123
            return boot.read().strip() + " " + os.readlink("/proc/self/ns/net")  # noqa: PTH115
    except OSError:
        return None


def has_ipv6() -> bool:
    """Can an IPv6 socket be made here?"""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def route(cell: Dict[str, Any]) -> Dict[str, Any]:
    """Which source address leads to a cell's destination: a connected UDP socket knows, and no packet is sent."""
    if cell.get("zone") == ANY_ZONE:
        return {"source": None, "errno": None}
    family = socket.AF_INET6 if ":" in cell["address"] else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        return {"source": None, "errno": errno.errorcode.get(error.errno or 0)}
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if cell.get("source"):
            try:
                sock.bind(socket_address(cell["source"], 0, cell.get("source_zone") or cell.get("zone")))
            except OSError:
                return {"source": None, "errno": None}  # the cell itself will tell
        sock.connect(socket_address(cell["address"], 9, cell.get("zone")))
        return {"source": sock.getsockname()[0].partition("%")[0], "errno": None}
    except OSError as error:
        return {"source": None, "errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
    finally:
        sock.close()


def resolved_addresses() -> List[Dict[str, Any]]:
    """Where there is no netlink: what the host's own name stands for."""
    found: List[Dict[str, Any]] = []
    try:
        rows = socket.getaddrinfo(socket.gethostname(), None, 0, socket.SOCK_DGRAM)
    except OSError:
        rows = []
    for row in rows:
        address = str(row[4][0]).partition("%")[0]
        if address not in [entry["address"] for entry in found]:
            found.append({"address": address, "prefix": None, "index": None})
    return found


def netlink_facts() -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
    """Links and addresses from the kernel (rtnetlink(7)); empty lists where it has none."""
    links: List[Dict[str, Any]] = []
    addresses: List[Dict[str, Any]] = []
    if not hasattr(socket, "AF_NETLINK"):
        return links, addresses
    try:
        for body in netlink_dump(18):  # RTM_GETLINK
            index, flags = struct.unpack_from("=iI", body, 4)
            name = attributes(body[16:]).get(3, b"").rstrip(b"\0").decode("utf-8", "replace")  # IFLA_IFNAME
            links.append({"name": name, "index": index, "up": bool(flags & 1), "loopback": bool(flags & 8)})
        for body in netlink_dump(22):  # RTM_GETADDR
            family, prefix, _, scope, index = struct.unpack_from("=BBBBI", body)
            fields = attributes(body[8:])
            raw = fields.get(2) or fields.get(1)  # IFA_LOCAL, IFA_ADDRESS
            flags = struct.unpack("=I", fields[8])[0] if 8 in fields else 0  # IFA_FLAGS
            if flags & 0x40 and not flags & 0x04:  # tentative and not optimistic: nobody can use it yet (RFC 4862)
                continue
            if raw and family in (socket.AF_INET, socket.AF_INET6):
                text = socket.inet_ntop(family, raw)
                addresses.append({"address": text, "prefix": prefix, "index": index, "scope": scope})
    except (OSError, struct.error):
        pass
    return links, addresses


def netlink_dump(kind: int) -> List[bytes]:
    """The bodies of a dump's messages."""
    bodies: List[bytes] = []
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
    try:
        sock.settimeout(2)
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHII", 20, kind, 0x301, 1, 0) + b"\0\0\0\0")  # NLM_F_REQUEST | NLM_F_DUMP
        while True:
            data = sock.recv(CHUNK)
            while len(data) >= 16:
                length, what = struct.unpack_from("=IH", data)
                if what in (2, 3) or length < 16:  # NLMSG_ERROR, NLMSG_DONE
                    return bodies
                bodies.append(data[16:length])
                data = data[(length + 3) & ~3 :]
    finally:
        sock.close()


def attributes(data: bytes) -> Dict[int, bytes]:
    """The attributes behind a netlink message's fixed part."""
    found: Dict[int, bytes] = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


# Small things.


def socket_address(address: str, port: int, zone: Optional[str]) -> Address:
    """What connect and bind take; a zone is an interface's name or number."""
    if ":" not in address:
        return (address, port)
    if not zone:
        return (address, port, 0, 0)
    return (address, port, 0, int(zone) if str(zone).isdigit() else socket.if_nametoindex(str(zone)))


def ask_for_errors(sock: socket.socket) -> None:
    """Let ICMP errors come with their type, code and offender (before connecting; needs no rights)."""
    if not HAS_ERROR_QUEUE:
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(SOL_IPV6, IPV6_RECVERR, 1)
        try:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)  # a v4-mapped destination gets ICMP, not ICMPv6
        except OSError:
            pass
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def take_errors(sock: Optional[socket.socket]) -> List[Dict[str, Any]]:
    """All that waits in the error queue of ``sock``, oldest first."""
    found: List[Dict[str, Any]] = []
    while HAS_ERROR_QUEUE and sock is not None:
        try:
            _, ancillary, _, _ = sock.recvmsg(2048, 1024, MSG_ERRQUEUE)
        except (OSError, ValueError):
            break
        for level, kind, data in ancillary:
            if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (SOL_IPV6, IPV6_RECVERR)) and len(data) >= 16:
                found.append(extended_error(data))
    return found


def extended_error(data: bytes) -> Dict[str, Any]:
    """struct sock_extended_err and the address of the offender behind it (ip(7), IP_RECVERR)."""
    number, origin, kind, code = struct.unpack_from("=IBBB", data)
    offender = None
    if len(data) >= 18:
        family = struct.unpack_from("=H", data, 16)[0]
        if family == socket.AF_INET and len(data) >= 24:
            offender = socket.inet_ntop(socket.AF_INET, data[20:24])
        elif family == socket.AF_INET6 and len(data) >= 40:
            offender = socket.inet_ntop(socket.AF_INET6, data[24:40])
    return {
        "origin": ORIGINS.get(origin, str(origin)),
        "type": kind,
        "code": code,
        "offender": offender,
        "errno": errno.errorcode.get(number, str(number)),
        "number": number,
    }


def is_link_local(address: str) -> bool:
    """fe80::/10 (RFC 4291 section 2.5.6)."""
    return (
        ":" in address
        and socket.inet_pton(socket.AF_INET6, address)[:1] == b"\xfe"
        and (socket.inet_pton(socket.AF_INET6, address)[1] & 0xC0 == 0x80)
    )


def link_zones() -> List[Optional[str]]:
    """The zones in which this host has a link-local address; [None] when there is none."""
    links, addresses = netlink_facts()
    with_one = {entry["index"] for entry in addresses if is_link_local(entry["address"])}
    zones: List[Optional[str]] = [link["name"] for link in links if link["up"] and link["index"] in with_one]
    return zones or [None]


def rank(said: Dict[str, Any]) -> int:
    """Which of several pieces of evidence says most: proof, any other answer, a refusal, an error, silence."""
    if said["result"] == "error":
        return 2 if said["errno"] == "ECONNREFUSED" else 1
    return {"proof": 4, "timeout": 0}.get(said["result"], 3)


def sample(data: bytes) -> Optional[str]:
    """The beginning of what somebody else said."""
    return data[:60].decode("latin-1") if data else None


def run(request: Dict[str, Any], emit: Emit, stopped: Optional[Callable[[], bool]] = None) -> None:
    """Probe all cells of ``request``; every line that a vantage would print goes to ``emit``."""
    emit({"hello": hello(request)})
    Prober(request, emit, stopped).run()
    emit({"done": True})


def main(text: str) -> None:
    """Run as a program at a vantage: JSON lines to stdout, and a life that ends by itself."""

    speaking = threading.Lock()

    def emit(said: Dict[str, Any]) -> None:
        with speaking:
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()

    def beat(pause: float) -> None:
        while True:  # who listens knows that we live; and when nobody listens any more, we learn it
            time.sleep(pause)
            try:
                emit({"alive": True})
            except (OSError, ValueError):
                os._exit(1)

    try:
        request = json.loads(text)
        rounds = 1 + len(request["cells"]) // max(1, descriptors_for(len(request["cells"])))
        life = 2 * rounds * float(request["timeout"]) + float(request.get("patience", PATIENCE_S)) + MARGIN_S
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            if request.get("life"):
                life = float(request["life"]) + 2 * (rounds - 1) * float(request["timeout"])
            signal.setitimer(signal.ITIMER_REAL, life)
        if request.get("heartbeat"):
            threading.Thread(target=beat, args=(float(request["heartbeat"]),), daemon=True).start()
        run(request, emit)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # nobody reads any more
    except Exception:
        emit({"crash": traceback.format_exc()})


def descriptors_for(count: int) -> int:
    """How many sockets can be open at once, after asking for as many as ``count`` needs."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + 64
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, (count + 64 if soft == resource.RLIM_INFINITY else soft) - 64)
    except (ImportError, OSError, ValueError):
        return 448  # Windows: select() takes 512

"""Which hop a probe gets to: one small packet a time to live, without privileges, and the routers' own words for it.

A router that takes the time to live of a packet to 0 says so (RFC 1812 section 5.3.1), and the socket's error queue
names it. So a ladder of packets with 1, 2, 3, … shows every router up to where the probe is lost. Two kinds of ladder:

- TCP: a socket a rung, with nothing but the handshake. Each is a connection of its own, so equal-cost paths may mix.
- UDP: one socket, so that all rungs take one path; which rung an error is about is told by the packet that it gives
  back: the challenge of each question begins with its time to live. An error that gives back no payload is about none.

Rungs go in waves, as many at once as are likely to be needed, and the next wave goes when the highest rung of the last
one was answered by a router, or when nothing came for a while: then it is twice as large. Two reasons why it is not all
of them at once. A rung at or beyond the server opens a real connection where the port is open: a control ladder, whose
port is, goes rung by rung from where the ladder became silent, and opens one. And a host sends 6 ICMP errors at once
and then one a second to each asker (icmp(7), icmp_ratelimit): rungs beyond a closed port, a REJECT or a narrow link all
draw one from the same host.

What is silent after that is asked once more, as far as a wave goes beyond the last router. A neighbour that answers its
second solicitation only, a second later (RFC 4861 section 10), or a burst that was lost, would look like a drop at the
first hop: seen in 3 of 70 ladders between namespaces that had just been made.

Because of the ICMP errors, ladders start at the rate that the first router answers all of them: 5 at once, then one a
second. Of 12 at once each router answered 6; what it no longer says looks as if it were silent.

With ``size``, the packets are datagrams of that many bytes which must not be fragmented. What asks then is UDP,
whatever port it is: a TCP handshake has no size. Before it goes the same ladder with small datagrams, as control, so
that the large one need not go beyond the server; what comes of it names the link's MTU, or is silent behind the router
whose word was lost.

All of it is bounded in time: :func:`longest_s`.
"""

import collections
import errno
import os
import selectors
import socket
import time
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

from netprobe.kernel import error_queue
from netprobe.kernel.constants import IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE, SOL_IPV6
from netprobe.kernel.error_queue import QueuedError, ReturnedError
from netprobe.prober.loop import Loop, Watched
from netprobe.prober.sockets import CONNECTING, MAPPED, errno_name, packed, socket_address
from netprobe.prober.wire import PROTOCOL, Address, probe_line, read_reply

__all__ = ["AT_ONCE", "LADDER_S", "MOST_HOPS", "WAVE", "climb", "longest_s"]

MOST_HOPS = 30
WAVE = 8  # rungs at once: enough for most paths, and little more than a host's ICMP errors at once
QUIET_S = 0.3  # after which more rungs go, or what is below the end is taken as silent
RUNG_S = 0.95  # how long a rung may take: TCP would send a second SYN a second after the first (RFC 6298 section 2)
HURRY_S = 2.0  # after which all rungs that are left go at once
CLIMB_S = HURRY_S + 2 * QUIET_S + RUNG_S + 0.2  # of one ladder, whatever comes
LADDER_S = 2 * CLIMB_S  # with its control
AT_ONCE = 5  # ladders; no more than a router's ICMP errors at once, and 5 times 30 sockets
PACE_S = 1.0  # between further ones: Linux sends one ICMP error a second and asker
STOP_CHECK_S = 0.1
SENDS = 8  # how often a datagram is tried: each error of an earlier rung that comes meanwhile fails one
TIME_EXCEEDED = frozenset((("icmp", 11), ("icmp6", 3)))  # RFC 792, RFC 4443 section 3.3
HEADERS = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}  # IP and UDP, without options

Sent = Tuple[int, int]  # a time to live, and how often it was asked before
Emit = Callable[[Dict[str, Any]], None]


def longest_s(count: int) -> float:
    """Seconds that ``count`` ladders may take: in rounds, which are longer than the pace asks for."""
    return -(-count // AT_ONCE) * LADDER_S


def climb(
    asked: Sequence[Dict[str, Any]], nonce: str, emit: Emit, stopped: Optional[Callable[[], bool]] = None
) -> bool:
    """Climb every ladder that is asked for, each with one report; False when it was stopped before."""
    loop = Loop()
    waiting: Deque[_Ladder] = collections.deque(
        _Ladder(loop, number, ladder, nonce) for number, ladder in enumerate(asked)
    )
    climbing: List[_Ladder] = []
    allowance, since = float(AT_ONCE), time.perf_counter()
    try:
        while waiting or climbing:
            if stopped is not None and stopped():
                return False
            now = time.perf_counter()
            allowance, since = min(float(AT_ONCE), allowance + (now - since) / PACE_S), now
            while waiting and allowance >= 1 and len(climbing) < AT_ONCE:
                allowance -= 1
                climbing.append(waiting.popleft())
                climbing[-1].start()
            if not any(ladder.report for ladder in climbing):
                loop.turn(STOP_CHECK_S)
            for ladder in [ladder for ladder in climbing if ladder.report]:
                climbing.remove(ladder)
                emit({"ladder": ladder.report})
    finally:
        loop.close()
    return True


class _Ladder:
    """One ladder that was asked for and its control, one after the other."""

    def __init__(self, loop: Loop, number: int, asked: Dict[str, Any], nonce: str) -> None:
        self.report: Optional[Dict[str, Any]] = None
        self._loop = loop
        self._number = number
        self._asked = asked
        self._nonce = nonce
        self._main: Optional[_Climb] = None
        self._control: Optional[_Climb] = None
        self._began = 0.0

    def start(self) -> None:
        """Begin to climb."""
        self._began = time.perf_counter()
        if self._asked.get("size"):
            self._control = self._climb(self._asked.get("control_port") or self._asked["port"], "udp")
            self._control.go(self._small_is_done)
        else:
            self._main = self._climb(self._asked["port"], self._asked["protocol"])
            self._main.go(self._main_is_done)

    def _climb(self, port: int, protocol: str, size: int = 0) -> "_Climb":
        kind = _UdpClimb if protocol == "udp" else _TcpClimb
        return kind(self._loop, dict(self._asked, port=port, size=size), self._nonce)

    def _small_is_done(self) -> None:
        assert self._control is not None
        self._main = self._climb(self._asked["port"], "udp", self._asked["size"])
        self._main.last = min(MOST_HOPS, self._control.end or self._control.top + 1)
        self._main.go(self._done)

    def _main_is_done(self) -> None:
        """A control where silence or a reset leaves open whether it is about the port; an ICMP error says itself."""
        assert self._main is not None
        end = self._main.rungs.get(self._main.end or 0)
        port, protocol = self._asked.get("control_port"), self._asked.get("control_protocol")
        if (not port and not protocol) or self._main.top >= MOST_HOPS or not (end is None or end.came == "rst"):
            self._done()
            return
        self._control = self._climb(port or self._asked["port"], protocol or self._asked["protocol"])
        self._control.next = self._main.end or self._main.top + 1
        self._control.wave = 1
        self._control.go(self._done)

    def _done(self) -> None:
        assert self._main is not None
        control = self._control
        self.report = {
            "number": self._number,
            "rungs": self._main.told(),
            "control": [] if control is None else control.told(),
            "size": self._main.size or None,
            "errno": self._main.errno or (None if control is None else control.errno),
            "elapsed_ms": round((time.perf_counter() - self._began) * 1000, 3),
        }


class _Rung:
    """What came of one time to live; nothing yet."""

    def __init__(self) -> None:
        self.sent_at: List[float] = []  # twice, where it was silent
        self.came = "silence"
        self.rtt_ms: Optional[float] = None
        self.icmp: Optional[QueuedError] = None
        self.mtu: Optional[int] = None


class _Climb(Watched):
    """The rungs to one port. ``end`` is the lowest that was answered by anything but a time exceeded: no router's."""

    def __init__(self, loop: Loop, asked: Dict[str, Any], nonce: str) -> None:
        self.rungs: Dict[int, _Rung] = {}
        self.next = 1  # the next rung
        self.last = MOST_HOPS
        self.wave = WAVE
        self.end: Optional[int] = None
        self.top = 0  # the highest rung that a router answered
        self.size = int(asked.get("size") or 0)
        self.errno: Optional[str] = None
        self.nonce = nonce
        self.loop = loop
        self.tail = os.urandom(14).hex()
        self._done: Callable[[], None] = _nothing
        self._began = time.perf_counter()
        self._asked_again = False
        address = asked["address"]
        if ":" in address and packed(address)[:12] == MAPPED:  # on an IPv6 socket, IPv4 would ignore its hop limit
            address = socket.inet_ntop(socket.AF_INET, packed(address)[12:])
        self.asked = dict(asked, address=address)
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.target: Address = ()

    def go(self, done: Callable[[], None]) -> None:
        """Send the first wave; ``done`` is called once all is over."""
        self._done = done
        self._began = time.perf_counter()
        try:
            if not error_queue.HAS_ERROR_QUEUE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            self.target = socket_address(self.asked["address"], self.asked["port"], self.asked.get("zone"))
            self.open()
        except (OSError, OverflowError, ValueError) as error:
            self.failed(error)
            self.finish()
            return
        self._send_more()

    def open(self) -> None:
        """Make ready what all rungs share. Raises OSError."""

    def send(self, sent: Sent) -> None:
        """Send this rung. Raises OSError."""
        raise NotImplementedError

    def due(self) -> None:
        """Nothing came for a while: more rungs, those that are silent once more, or the end."""
        if self.end is not None or self._asked_again:
            self.finish()
        elif self.next <= self.last:
            self.wave *= 2
            self._send_more()
        else:
            self._asked_again = True
            self._send([ttl for ttl in range(self.top + 1, self.top + 1 + WAVE) if ttl in self.rungs])

    def heard(self, sent: Sent, came: str, returned: Optional[ReturnedError] = None) -> None:
        """Something came of a rung; the first of it counts."""
        ttl, attempt = sent
        rung = self.rungs.get(ttl)
        if self.finished or rung is None or rung.came != "silence" or attempt >= len(rung.sent_at):
            return
        icmp = None if returned is None else returned.error
        rung.came, rung.icmp, rung.mtu = came, icmp, (None if returned is None else returned.mtu or None)
        rung.rtt_ms = round((time.perf_counter() - rung.sent_at[attempt]) * 1000, 3)
        if icmp is not None and (icmp.origin, icmp.type) in TIME_EXCEEDED:
            self.top = max(self.top, ttl)
        else:
            self.end = min(ttl, self.end or ttl)
        if self.end is not None:
            if all(other.came != "silence" for below, other in self.rungs.items() if below < self.end):
                self.finish()
            elif ttl == self.end:
                self._rest()
        elif ttl == self.next - 1:
            self._send_more()

    def challenge(self, sent: Sent) -> str:
        """What the question of a rung is known by."""
        return "{:02x}{:02x}{}".format(sent[0], sent[1], self.tail)

    def failed(self, error: Exception) -> None:
        """This side could not send; the first reason counts."""
        self.errno = self.errno or errno_name(getattr(error, "errno", None)) or "EINVAL"

    def finish(self) -> None:
        """Close all sockets and say so."""
        if not self.finished:
            self.finished = True
            self.loop.forget(self)
            self._done()

    def told(self) -> List[Dict[str, Any]]:
        """The rungs as they are reported: none beyond the end."""
        return [
            {
                "ttl": ttl,
                "came": rung.came,
                "icmp": None if rung.icmp is None else rung.icmp._asdict(),
                "rtt_ms": rung.rtt_ms,
                "mtu": rung.mtu,
            }
            for ttl, rung in sorted(self.rungs.items())
            if self.end is None or ttl <= self.end
        ]

    def new_socket(self, kind: int) -> socket.socket:
        """A socket that keeps ICMP errors, bound as it was asked for."""
        sock = socket.socket(self.family, kind)
        try:
            sock.setblocking(False)
            error_queue.ask_for_errors(sock)
            if self.asked.get("source"):
                zone = self.asked.get("source_zone") or self.asked.get("zone")
                sock.bind(socket_address(self.asked["source"], 0, zone))
        except BaseException:
            sock.close()
            raise
        return sock

    def limit(self, sock: socket.socket, ttl: int) -> None:
        """Let the next packets of ``sock`` live for ``ttl`` hops (ip(7), ipv6(7))."""
        if self.family == socket.AF_INET6:
            sock.setsockopt(SOL_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)

    def _send_more(self) -> None:
        """The next wave; all that is left once it has taken long."""
        count = MOST_HOPS if time.perf_counter() - self._began > HURRY_S else self.wave
        self._send(list(range(self.next, min(self.last, self.next + count - 1) + 1)))

    def _send(self, ttls: Sequence[int]) -> None:
        for ttl in ttls:
            if self.end is not None or self.finished:
                break  # it came while the others were sent
            self.next = max(self.next, ttl + 1)
            rung = self.rungs.setdefault(ttl, _Rung())
            rung.sent_at.append(time.perf_counter())
            try:
                self.send((ttl, len(rung.sent_at) - 1))
            except (OSError, OverflowError, ValueError) as error:
                if len(rung.sent_at) == 1:
                    del self.rungs[ttl]
                self.failed(error)
                self.last = ttl
                break
        if not self.finished:
            if self.errno and not self.rungs:
                self.finish()
            else:
                self._rest()

    def _rest(self) -> None:
        """Ask to be woken when nothing else comes."""
        pause = RUNG_S if self._asked_again and self.end is None else QUIET_S
        self.loop.wake(self, time.perf_counter() + pause)


def _nothing() -> None:
    """What is called at the end of a climb that has not begun."""


class _TcpClimb(_Climb):
    """A socket for each rung."""

    def __init__(self, loop: Loop, asked: Dict[str, Any], nonce: str) -> None:
        super().__init__(loop, asked, nonce)
        self._handshakes: List[_Handshake] = []

    def send(self, sent: Sent) -> None:
        handshake = _Handshake(self, sent)
        self._handshakes.append(handshake)
        handshake.start()

    def finish(self) -> None:
        for handshake in self._handshakes:
            self.loop.forget(handshake)
        super().finish()

    def heard(self, sent: Sent, came: str, returned: Optional[ReturnedError] = None) -> None:
        super().heard(sent, came, returned)
        if self.end is not None:
            for handshake in self._handshakes:
                if handshake.sent[0] > self.end:
                    self.loop.forget(handshake)  # before it opens a connection


class _Handshake(Watched):
    """One rung of TCP."""

    def __init__(self, climb: _TcpClimb, sent: Sent) -> None:
        self.sent = sent
        self._climb = climb

    def start(self) -> None:
        """Send the SYN. Raises OSError."""
        self.sock = self._climb.new_socket(socket.SOCK_STREAM)
        self._climb.limit(self.sock, self.sent[0])
        code = self.sock.connect_ex(self._climb.target)
        if code not in CONNECTING and code != errno.ECONNREFUSED:
            self.sock.close()
            raise OSError(code, os.strerror(code))
        self._climb.loop.watch(self, selectors.EVENT_WRITE)
        self._climb.loop.wake(self, time.perf_counter() + RUNG_S)

    def due(self) -> None:
        self._climb.loop.forget(self)

    def ready(self, events: int) -> None:
        assert self.sock is not None
        returned = [entry for entry in error_queue.take_returned_errors(self.sock) if entry.error.is_icmp]
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        connected = not code and not returned and _is_connected(self.sock)
        if connected:
            self._show_proof()
        self._climb.loop.forget(self)
        if returned:
            self._climb.heard(self.sent, "icmp", returned[-1])
        elif connected:
            self._climb.heard(self.sent, "answer")
        elif code in (errno.ECONNREFUSED, errno.ECONNRESET):
            self._climb.heard(self.sent, "rst")
        elif code:
            self._climb.failed(OSError(code, os.strerror(code)))  # this host's own words: no neighbour, no route

    def _show_proof(self) -> None:
        """Or the listener would take this for a stranger, who connects and says nothing."""
        assert self.sock is not None
        try:
            self.sock.send(probe_line(self._climb.nonce, self._climb.challenge(self.sent), 0))
        except OSError:
            pass  # it has gone again


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class _UdpClimb(_Climb):
    """One socket; the challenge of each question begins with its time to live and its attempt."""

    def open(self) -> None:
        self.sock = self.new_socket(socket.SOCK_DGRAM)
        if self.size:
            if self.family == socket.AF_INET6:
                level, option = SOL_IPV6, IPV6_MTU_DISCOVER
            else:
                level, option = socket.IPPROTO_IP, IP_MTU_DISCOVER
            if option is not None:
                self.sock.setsockopt(level, option, PMTUDISC_PROBE)
        self.loop.watch(self, selectors.EVENT_READ)

    def send(self, sent: Sent) -> None:
        """An error of an earlier rung comes up here instead: then it is read, and this one is sent again."""
        assert self.sock is not None
        self.limit(self.sock, sent[0])
        for attempt in range(SENDS):
            try:
                self.sock.sendto(self._question(sent), self.target)
                return
            except OSError as error:
                if not self._take_errors() or attempt == SENDS - 1:
                    raise error
            if self.finished or self.sock is None:
                return

    def ready(self, events: int) -> None:
        assert self.sock is not None
        self._take_errors()
        while not self.finished:
            try:
                data, peer = self.sock.recvfrom(65536)
            except OSError:  # nothing more, or an error that came since: it wakes us again
                return
            self._take(data, peer)

    def _question(self, sent: Sent) -> bytes:
        """A probe of this run, so that a listener answers; of ``size`` bytes with its headers, if there is one.

        How long its payload is stands in it, so some sizes there are not: it has a byte less then.
        """
        challenge = self.challenge(sent)
        line = probe_line(self.nonce, challenge, 0)
        if not self.size:
            return line
        room = self.size - HEADERS[self.family] - (len(line) - 1)  # for the payload and the digits of its length
        payload = room - len(str(room))
        if payload + 1 + len(str(payload + 1)) <= room:
            payload += 1
        return probe_line(self.nonce, challenge, payload) + b"." * payload

    def _sent_in(self, data: bytes) -> Optional[Sent]:
        """Which rung's question, or reply, this is; None where it holds no challenge of ours."""
        at = data.find(self.tail.encode())
        try:
            return (int(data[at - 4 : at - 2], 16), int(data[at - 2 : at], 16)) if at >= 4 else None
        except ValueError:
            return None

    def _take_errors(self) -> bool:
        """Read what came; whether anything did. An EMSGSIZE of this host's own is the MTU of its link: no more fits."""
        taken = error_queue.take_returned_errors(self.sock)
        for returned in taken:
            sent = self._sent_in(returned.data)
            if returned.error.is_icmp:
                if sent is not None:
                    self.heard(sent, "icmp", returned)
            elif returned.mtu and self.size > returned.mtu:
                self.size = returned.mtu
            elif returned.error.errno != "EMSGSIZE":
                self.failed(OSError(returned.error.number, returned.error.errno))
        return bool(taken)

    def _take(self, data: bytes, peer: Address) -> None:
        """An answer: of a listener of this run, or of whatever is at the address and port that were asked.

        Another program's answer does not say which rung it is for: it is taken for the lowest beyond all routers.
        """
        sent = self._sent_in(data)
        if sent is not None and read_reply(self.nonce, self.challenge(sent), data.partition(b"\n")[0]):
            self.heard(sent, "answer")
        elif peer[1] == self.target[1] and packed(peer[0].partition("%")[0]) == packed(self.target[0]):
            if sent is None or not data.startswith(PROTOCOL.encode()):
                sent = (min((ttl for ttl in self.rungs if ttl > self.top), default=0), 0)
            self.heard(sent, "answer")

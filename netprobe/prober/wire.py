"""The wire format between a probe and a listener of the same run.

TCP: at the start of the stream; UDP: one datagram. Both lines end with a newline::

    netprobe/1 probe <challenge> <proof> <size>
    netprobe/1 reply <challenge> <listener> <peer> <port> <local> <proof>

then ``size`` bytes of payload each way. A proof is HMAC-SHA256 over the other fields, keyed with the nonce of the run.

Why a proof: "connected" is not "reached". A proxy, a captive portal, a NAT that hairpins to the wrong host, or another
program on the same port completes the handshake as well, and an echo server even sends our line back. The listener's
answer proves that it belongs to this run, says which listener it is and whom it sees; the prober's line proves that the
listener may answer: strangers who come by get not a byte.

The nonce never travels between the two, so whoever watches the path can neither answer for the listener nor ask in the
prober's place. The challenge is new for each probe, so an old answer proves nothing. Half of the HMAC is sent, as RFC
2104 section 5 allows: 128 bits are beyond guessing, and the line stays small enough for any datagram.
"""

import hmac
from typing import Any, Dict, Optional, Tuple

__all__ = [
    "LINE_LIMIT",
    "PROTOCOL",
    "Address",
    "pattern",
    "probe_line",
    "proof",
    "read_probe",
    "read_reply",
    "reply_line",
]

PROTOCOL = "netprobe/1"
LINE_LIMIT = 512  # bytes of a line; what is longer is nobody's

Address = Tuple[Any, ...]  # as the socket module has them: 2 fields in IPv4, 4 in IPv6


def proof(nonce: str, *fields: object) -> str:
    """The half of HMAC-SHA256 that is sent: 128 bits, in hex."""
    text = " ".join(str(field) for field in fields)
    return hmac.new(nonce.encode(), text.encode(), "sha256").hexdigest()[:32]


def probe_line(nonce: str, challenge: str, size: int) -> bytes:
    """What the prober sends first."""
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
    """What the listener answers: which one it is, and whom it sees."""
    fields = (challenge, listener, peer[0], peer[1], local)
    words = (PROTOCOL, "reply") + fields + (proof(nonce, "reply", *fields),)
    return " ".join(str(word) for word in words).encode() + b"\n"


def read_reply(nonce: str, challenge: str, line: bytes) -> Optional[Dict[str, Any]]:
    """What a listener of this run answers to ``challenge``; None for anything else."""
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

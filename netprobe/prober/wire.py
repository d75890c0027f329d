"""The wire format between a probe and a listener of the same run.

TCP: at the start of the stream; UDP: one datagram. Both lines end with a newline::

    netprobe/1 probe <challenge> <proof> <size>
    netprobe/1 reply <challenge> <listener> <peer> <port> <local> <receipt> <proof>

then ``size`` bytes of payload each way. A proof is HMAC-SHA256 over the other fields, keyed with the nonce of the run.

Why a proof: "connected" is not "reached". A proxy, a captive portal, a NAT that hairpins to the wrong host, or another
program on the same port completes the handshake as well, and an echo server even sends our line back. The listener's
answer proves that it belongs to this run, says which listener it is and whom it sees; the prober's line proves that the
listener may answer: strangers who come by get not a byte.

Every vantage knows the nonce, so the proof convinces the prober, and nobody else: a vantage could write it itself. The
receipt is the listening side's own, keyed with a secret that never leaves it, over what it saw: the prober hands it on
unread, and a vantage that shows none, or one of something else, was not at the listener as it says. As with SYN cookies
(RFC 4987 section 3.6) the listening side need not remember whom it answered, so that nobody can make it forget.

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
MOST_DIGITS = 10  # of a number in a line: int() of thousands of digits takes long, or raises

Address = Tuple[Any, ...]  # as the socket module has them: 2 fields in IPv4, 4 in IPv6


def proof(nonce: str, *fields: object) -> str:
    """The half of HMAC-SHA256 that is sent: 128 bits, in hex."""
    text = " ".join(str(field) for field in fields)
    return hmac.new(_bytes(nonce), _bytes(text), "sha256").hexdigest()[:32]


def probe_line(nonce: str, challenge: str, size: int) -> bytes:
    """What the prober sends first."""
    return "{} probe {} {} {}\n".format(PROTOCOL, challenge, proof(nonce, "probe", challenge, size), size).encode()


def read_probe(nonce: str, line: bytes) -> Optional[Tuple[str, int]]:
    """Challenge and payload size of a probe of this run; None for anybody else's line."""
    words = line.split() if len(line) <= LINE_LIMIT else []
    if len(words) != 5 or words[:2] != [PROTOCOL.encode(), b"probe"] or not _is_number(words[4]):
        return None
    try:
        challenge, size = words[2].decode("ascii"), int(words[4])
    except ValueError:
        return None
    if not hmac.compare_digest(words[3], proof(nonce, "probe", challenge, size).encode()):
        return None
    return challenge, size


def reply_line(nonce: str, challenge: str, listener: str, peer: Address, local: str, receipt: str = "-") -> bytes:
    """What the listener answers: which one it is, whom it sees, and its receipt for having seen that."""
    fields = (challenge, listener, peer[0], peer[1], local, receipt)
    words = (PROTOCOL, "reply") + fields + (proof(nonce, "reply", *fields),)
    return _bytes(" ".join(str(word) for word in words)) + b"\n"


def read_reply(nonce: str, challenge: str, line: bytes) -> Optional[Dict[str, Any]]:
    """What a listener of this run answers to ``challenge``; None for anything else.

    Only bytes are split, at ASCII's whitespace: a listener's name may have any other character in it (an interface's).
    """
    words = line.split() if len(line) <= LINE_LIMIT else []
    if len(words) != 9 or words[:3] != [PROTOCOL.encode(), b"reply", challenge.encode()] or not _is_number(words[5]):
        return None
    try:
        fields = [word.decode() for word in words[2:8]]
    except ValueError:
        return None
    if not hmac.compare_digest(words[8], proof(nonce, "reply", *fields).encode()):
        return None
    _, listener, observed, port, local, receipt = fields
    return {
        "listener": listener,
        "observed": observed,
        "observed_port": int(port),
        "local": local,
        "receipt": None if receipt == "-" else receipt,
    }


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= MOST_DIGITS  # bytes: ASCII's digits only


def _bytes(text: str) -> bytes:
    """UTF-8; a byte of an argument or a name that is none (PEP 383) as itself."""
    return text.encode("utf-8", "surrogateescape")


def pattern(challenge: str, size: int) -> bytes:
    """``size`` bytes of payload that nobody else would send."""
    seed = challenge.encode() or b"-"
    return (seed * (size // len(seed) + 1))[:size]

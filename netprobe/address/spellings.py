"""How other parsers read what netprobe refuses: C's inet_aton and the URL host parser of browsers.

A filter that reads a text as one address and a connection that reads it as another is how requests are forged
(CVE-2021-29921, CVE-2023-42282, CVE-2024-29415). So netprobe takes the one spelling that all parsers agree on, and
this module exists to show the disagreement: of ``010.1.1.1`` jodies' ipcalc makes 10.1.1.1, subnetcalc 8.1.1.1, and
CPython an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import hexdigits, octdigits

from netprobe.address.ip import address_text
from netprobe.address.kinds import kind_of_number
from netprobe.address.reader import ParsedAddress, Subject, read_address, read_prefix
from netprobe.address.registry import covering
from netprobe.errors import AddressError

__all__ = ["Reading", "inet_aton", "lenient_subject", "readings_of", "whatwg_host", "with_readings"]

_DIGITS = frozenset("0123456789")
_ALPHABETS = {8: frozenset(octdigits), 10: _DIGITS, 16: frozenset(hexdigits)}
_BLANKS = " \t\n\v\f\r"
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})  # UTS #46 section 4: label separators


@dataclass(frozen=True, slots=True)
class Reading:
    """What ``parser`` makes of a text: an address with its kind and block, or None where it refuses it."""

    parser: str
    address: str | None
    kind: str | None
    block: str | None


def readings_of(text: str) -> tuple[Reading, ...]:
    """The readings of C's inet_aton(3) and of the WHATWG URL standard."""
    return (_reading("inet_aton", inet_aton(text)), _reading("whatwg", whatwg_host(text)))


def _reading(parser: str, number: int | None) -> Reading:
    if number is None:
        return Reading(parser, None, None, None)
    block = covering(4, number)
    return Reading(parser, address_text(4, number), kind_of_number(4, number), block.cidr if block else None)


def inet_aton(text: str) -> int | None:
    """inet_aton(3) of glibc and the BSDs: one to four parts, each decimal, octal (0…) or hexadecimal (0x…).

    The last part fills the octets that are left; what follows white space is not looked at.
    """
    for blank in _BLANKS:
        text = text.partition(blank)[0]
    return _joined([_part(part, lone_prefix=None) for part in text.split(".")])


def whatwg_host(text: str) -> int | None:
    """The IPv4 parser of the WHATWG URL standard (section 3.5), after percent-decoding and IDNA mapping of the host.

    One dot at the end is allowed, ``0x`` alone is 0, and compatibility characters such as full-width digits are
    mapped to ASCII first (UTS #46). None for a host that is a name, and for one that is refused.
    """
    import unicodedata

    if "%" in text:
        from urllib.parse import unquote_to_bytes

        text = unquote_to_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    host = unicodedata.normalize("NFKC", text.translate(_DOTS)).translate(_DOTS).lower()
    host = host.replace("\u00ad", "").replace("\u200b", "").replace("\u2060", "").replace("\ufeff", "")
    parts = host.split(".")
    if parts[-1] == "" and len(parts) > 1:
        parts.pop()
    return _joined([_part(part, lone_prefix=0) for part in parts])


def _part(part: str, lone_prefix: int | None) -> int | None:
    """One part as strtoul(3) with base 0 reads it; ``lone_prefix`` is what ``0x`` without digits means."""
    digits, base = part, 10
    if part[:2] in ("0x", "0X"):
        digits, base = part[2:], 16
        if not digits:
            return lone_prefix
    elif len(part) > 1 and part[0] == "0":
        digits, base = part[1:], 8
    if not digits or not _ALPHABETS[base].issuperset(digits):
        return None
    significant = digits.lstrip("0")
    return int(significant or "0", base) if len(significant) <= 11 else 1 << 33  # 11 octal digits are 33 bits


def _joined(parts: list[int | None]) -> int | None:
    """One to four parts as one number: all but the last are octets, the last fills the rest."""
    if not 1 <= len(parts) <= 4:
        return None
    number = 0
    for part in parts[:-1]:
        if part is None or part > 255:
            return None
        number = number << 8 | part
    last, room = parts[-1], 8 * (5 - len(parts))
    return None if last is None or last >= 1 << room else number << room | last


def lenient_subject(text: str) -> Subject | None:
    """What inet_aton(3) makes of the address in ``text``, with the prefix behind it; None where it refuses."""
    body, slash, mask = text.partition("/")
    number = inet_aton(body)
    if number is None:
        return None
    return Subject(text, ParsedAddress(4, number), read_prefix(mask, 4, text) if slash else None)


def with_readings(error: AddressError, text: str) -> AddressError:
    """``error`` with a hint how other parsers read the text, where it could be taken for an address."""
    body = text.partition("/")[0]
    if not any(c.isdigit() for c in body) or body.startswith("[") or "port" in error.why or _is_strict(body):
        return error
    readings = readings_of(body)
    others = ", ".join(f"{_NAMES[reading.parser]} {_as_read(reading)}" for reading in readings)
    option = "; --lenient takes inet_aton's reading" if readings[0].address else ""
    hint = f"{error.hint}; {others}{option}" if error.hint else f"{others}{option}"
    return AddressError(error.what, error.why, hint)


_NAMES = {"inet_aton": "C's inet_aton", "whatwg": "a browser (WHATWG URL)"}


def _as_read(reading: Reading) -> str:
    if reading.address is None:
        return "refuses it"
    return f"reads {reading.address} ({reading.kind}{f', {reading.block}' if reading.block else ''})"


def _is_strict(body: str) -> bool:
    try:
        read_address(body)
    except AddressError:
        return False
    return True

"""What is this address: text in, records out; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.address.classification import Classification, Embedded, classify, kind_of
from netprobe.errors import AddressError

__all__ = ["Classification", "Embedded", "classify", "classify_many", "kind_of"]


def classify_many(lines: Iterable[str], *, lenient: bool = False) -> Iterator[Classification | AddressError]:
    """A full record for each line that is neither blank nor a comment; for a bad line the error, not raised."""
    from netprobe.address.bulk import classify_many as many

    return many(lines, lenient=lenient)

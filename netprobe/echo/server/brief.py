"""Short messages of ready peers: their bytes as objects of Python's, which cost less than views of the server's buffer.

A batch is full when peers wait anyway: then all are received, then all are sent back. Received and sent one by one,
each reply wakes a client that finds nothing else to do yet and sleeps again, and each message needs all that the
interpreter and the kernel know of either direction; with 500 connections that is a tenth of the time. A batch that is
not full is served peer by peer: its first reply shall not wait for the last receive.

Where nobody asks what a single peer did, and when, only the sum of a batch is kept: another twentieth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import not_
from os import read, write
from typing import TYPE_CHECKING, TypeVar

from netprobe.echo.server.readiness import BATCH

if TYPE_CHECKING:
    from netprobe.echo.server.stream import Peer
    from netprobe.echo.server.totals import Totals

__all__ = ["echo_brief"]

T = TypeVar("T")


def echo_brief(fds: Sequence[int], peers: Mapping[int, Peer], size: int, sums: Totals | None) -> None:
    """Receive at most ``size`` bytes of each of ``peers`` that ``fds`` name, and send them back.

    ``sums`` counts what went smoothly; without it, each peer does.
    """
    (_together if len(fds) >= BATCH else _in_turn)(fds, peers, size, sums)


def _in_turn(fds: Sequence[int], peers: Mapping[int, Peer], size: int, sums: Totals | None) -> None:
    echoed = 0
    for fd in fds:
        data, sent, error = b"", 0, None
        try:
            data = read(fd, size)
            if data:
                sent = write(fd, data)
        except OSError as failure:
            error = failure
        if sums is not None and 0 < sent < size and sent == len(data):
            echoed += sent
        elif data:
            peers[fd].after_brief(data, sent, error)
        else:
            peers[fd].unread(error)
    if sums is not None:
        sums.echoed(echoed)


def _together(fds: Sequence[int], peers: Mapping[int, Peer], size: int, sums: Totals | None) -> None:
    received, failed = _each(map(read, fds, repeat(size)), fds, b"")
    if not all(received):
        for fd in compress(fds, map(not_, received)):
            peers[fd].unread(failed.get(fd))
        fds, received = list(compress(fds, received)), list(filter(None, received))
    sent, failed = _each(map(write, fds, received), fds, 0)
    if sums is not None and sent == list(map(len, received)) and max(sent, default=0) < size:
        sums.echoed(sum(sent))
        return
    for fd, data, count in zip(fds, received, sent, strict=True):
        peers[fd].after_brief(data, count, failed.get(fd))


def _each(results: Iterator[T], fds: Sequence[int], nothing: T) -> tuple[list[T], dict[int, OSError]]:
    """What a system call gives for each of ``fds``; where it fails, ``nothing``, and the error by descriptor."""
    taken: list[T] = []
    take = taken.append
    failed: dict[int, OSError] = {}
    while len(taken) < len(fds):
        try:
            for result in results:
                take(result)
        except OSError as error:  # a map goes on behind the item that raised
            failed[fds[len(taken)]] = error
            take(nothing)
    return taken, failed

"""A full batch of ready peers with short messages: all are received, then all are sent back.

A batch is full when peers wait anyway. Received and sent one by one, each reply wakes a client that finds nothing else
to do yet and sleeps again, and each message needs all that the interpreter and the kernel know of either direction;
with 500 connections that is a tenth of the time. A batch that is not full is served peer by peer: its first reply
shall not wait for the last receive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import not_
from os import read, write
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from netprobe.echo.server.stream import Peer

__all__ = ["echo_together"]

T = TypeVar("T")


def echo_together(fds: Sequence[int], peers: Mapping[int, Peer], size: int, now: float) -> None:
    """Serve ``peers[fd]`` for each of ``fds``, as ``peer.brief`` would: at most ``size`` bytes each."""
    received, failed = _each(map(read, fds, repeat(size)), fds, b"")
    if not all(received):
        for fd in compress(fds, map(not_, received)):
            if fd in failed:
                peers[fd].unread(failed[fd])
            else:
                peers[fd].close("closed")
        fds, received = list(compress(fds, received)), list(filter(None, received))
    sent, failed = _each(map(write, fds, received), fds, 0)
    for fd, data, count in zip(fds, received, sent, strict=True):
        peer = peers[fd]
        length = len(data)
        peer.heard = now
        peer.received += length
        peer.sent += count
        if count != length or count == size:
            peer.after_brief(data, count, failed.get(fd))


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

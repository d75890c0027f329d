"""Small messages of ready connections, received as Python objects, which cost less than views of the shared buffer.

A full batch means that more connections are waiting: then all are received first, then all are sent back. Received and
sent one by one, each reply wakes a client that finds nothing else to do yet and sleeps again, and interpreter and
kernel switch between receiving and sending for every message; with 500 connections that is a tenth of the time. A
batch that is not full is served connection by connection: its first reply should not wait for the last receive.

Where no option needs to know what a single connection did, and when, only the sum of a batch is counted: another
twentieth of the time, at 50 and at 500 connections. All of that is here; the rest of the server knows only that a
connection whose last message was small is served by :func:`echo_small`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import not_
from os import read, write
from typing import Final, TypeVar

from netprobe.echo.server.connection import EchoConnection, Totals
from netprobe.echo.server.poller import BATCH

__all__ = ["SMALL", "echo_small"]

SMALL: Final = 448  # bytes; the size of a small message's receive: Python pools objects of up to 512 bytes

_NO_MEMORY: Final = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

T = TypeVar("T")


def echo_small(fds: Sequence[int], connections: Mapping[int, EchoConnection], size: int, totals: Totals | None) -> None:
    """Receive at most ``size`` bytes from each of ``connections`` that ``fds`` name, and send them back.

    ``totals`` counts what was echoed without incident; with None, each connection counts its own.
    """
    (_together if len(fds) >= BATCH else _in_turn)(fds, connections, size, totals)


def _in_turn(fds: Sequence[int], connections: Mapping[int, EchoConnection], size: int, totals: Totals | None) -> None:
    echoed = 0
    for fd in fds:
        data, sent, error = b"", 0, None
        try:
            data = read(fd, size)
            if data:
                sent = write(fd, data)
        except OSError as failure:
            error = failure
        except MemoryError:
            connections[fd].out_of_memory(len(data))
            continue
        if totals is not None and 0 < sent < size and sent == len(data):
            echoed += sent
        elif data:
            _after(connections[fd], data, sent, error)
        else:
            connections[fd].nothing_received(error)
    if totals is not None:
        totals.echoed(echoed)


def _together(fds: Sequence[int], connections: Mapping[int, EchoConnection], size: int, totals: Totals | None) -> None:
    received, failed = _each(map(read, fds, repeat(size)), fds, b"")
    if not all(received):
        for fd in compress(fds, map(not_, received)):
            connections[fd].nothing_received(failed.get(fd))
        fds, received = list(compress(fds, received)), list(filter(None, received))
    sent, failed = _each(map(write, fds, received), fds, 0)
    if totals is not None and sent == list(map(len, received)) and max(sent, default=0) < size:
        totals.echoed(sum(sent))
        return
    for fd, data, count in zip(fds, received, sent, strict=True):
        _after(connections[fd], data, count, failed.get(fd))


def _after(connection: EchoConnection, data: bytes, sent: int, error: OSError | None) -> None:
    """Let ``connection`` know. Where there is no memory for what is left to send, it ends, and the others go on."""
    try:
        connection.after_small(data, sent, error)
    except MemoryError:
        connection.out_of_memory(len(data) - sent)


def _each(results: Iterator[T], fds: Sequence[int], nothing: T) -> tuple[list[T], dict[int, OSError]]:
    """The result of a system call for each of ``fds``; where it fails, ``nothing``, and the error by descriptor."""
    taken: list[T] = []
    take = taken.append
    failed: dict[int, OSError] = {}
    while len(taken) < len(fds):
        try:
            for result in results:
                take(result)
        except OSError as error:  # a map continues after the item that raised
            failed[fds[len(taken)]] = error
            take(nothing)
        except MemoryError:
            failed[fds[len(taken)]] = _NO_MEMORY
            take(nothing)
    return taken, failed

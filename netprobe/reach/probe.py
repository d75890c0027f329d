"""Ask every vantage at once: one session each, one thread each, all lines into one queue.

A session is anything that takes a request and hands out the payload's lines. ``local`` runs the payload in this
process; every other vantage runs the same text somewhere else (``netprobe.reach.session``).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from netprobe.errors import CannotRunError, NetprobeError
from netprobe.prober import engine
from netprobe.prober.facts import ANY_ZONE, REQUEST_VERSION
from netprobe.prober.pacing import PATIENCE_S
from netprobe.prober.sockets import descriptors_for
from netprobe.reach.records import HostFacts, Question

__all__ = ["LOCAL", "Lines", "LocalSession", "Session", "ask", "request_for"]

LOCAL = "local"
Line = Mapping[str, Any]
Request = Mapping[str, Any]
Lines = queue.SimpleQueue[tuple[str, Line]]

TICK_S = 0.2
RESERVED_DESCRIPTORS = 64  # for everything in this process that is neither a probe nor a listener's side of it


class Session(Protocol):
    """One vantage's way to run the payload.

    ``run`` blocks until the payload's last line and gives each line to ``emit`` as it comes: ``hello``, ``cell``s,
    ``done`` or ``crash``. It raises a :class:`NetprobeError` when the vantage could not be used, or died: the cells
    that have no line then become ``not-tested`` with that error as the cause. ``stop`` may be called from another
    thread, at any time, twice: ``run`` then ends within a second and leaves nothing behind.
    """

    @property
    def name(self) -> str:
        """The vantage's name: the column."""

    def run(self, request: Request, emit: Callable[[Line], None]) -> None:
        """Probe."""

    def stop(self) -> None:
        """End now."""


class LocalSession:
    """This very host: the payload in this process."""

    name = LOCAL

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self, request: Request, emit: Callable[[Line], None]) -> None:
        """Probe from here. Each probe costs two descriptors: the listener's side is in this process, too."""
        cells = len(request["cells"])
        sockets = (descriptors_for(2 * cells + RESERVED_DESCRIPTORS) - RESERVED_DESCRIPTORS) // 2
        engine.run({"sockets": max(1, sockets), **request}, emit, self._stopped.is_set)

    def stop(self) -> None:
        """End within a tenth of a second."""
        self._stopped.set()


def request_for(
    questions: Sequence[Question],
    nonce: str,
    host: HostFacts,
    *,
    timeout: float,
    patience: float = PATIENCE_S,
    payload_size: int = 0,
    source: str | None = None,
    zone: str | None = None,
) -> dict[str, Any]:
    """The request that a vantage's payload gets for its questions."""
    cells = []
    for question in questions:
        cell: dict[str, Any] = {
            "id": question.id,
            "protocol": question.listener.protocol,
            "address": question.destination.text,
            "port": question.listener.port,
            "host": question.destination.text in host.texts,
        }
        if question.destination.zone:
            # A zone is a name of this host's: elsewhere the payload tries every link there.
            cell["zone"] = question.destination.zone if question.vantage == LOCAL else ANY_ZONE
        if source is not None and (":" in source) == (question.destination.version == 6):
            cell["source"] = source
            if zone:
                cell["source_zone"] = zone
        cells.append(cell)
    return {
        "version": REQUEST_VERSION,
        "nonce": nonce,
        "timeout": timeout,
        "patience": patience,
        "payload": payload_size,
        "cells": cells,
    }


def ask(sessions: Sequence[tuple[Session, Request]], lines: Lines) -> Iterator[tuple[str, Line]]:
    """Run all sessions at once and give their lines, with the vantage's name, as they come through ``lines``.

    Several times a second without a line gives ``{"tick": True}``. A session that fails gives
    ``{"failed": NetprobeError}``; each ends with ``{"end": True}``. Whatever ends the iteration (also Ctrl-C), the
    sessions are stopped and waited for.
    """
    threads = [
        threading.Thread(target=_run, args=(session, request, lines), name=f"netprobe-{session.name}", daemon=True)
        for session, request in sessions
    ]
    running = len(threads)
    try:
        for thread in threads:
            thread.start()
        while running:
            try:
                name, line = lines.get(timeout=TICK_S)
            except queue.Empty:
                yield "", {"tick": True}
                continue
            if "end" in line:
                running -= 1
            yield name, line
    finally:
        for session, _ in sessions:
            session.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join(2.0)


def _run(session: Session, request: Request, lines: Lines) -> None:
    """A session's thread: its lines, its failure, its end."""
    name = session.name
    try:
        session.run(request, lambda line: lines.put((name, line)))
    except NetprobeError as error:
        lines.put((name, {"failed": error}))
    except OSError as error:
        lines.put((name, {"failed": CannotRunError(name, error.strerror or str(error))}))
    except Exception as error:  # a fault of ours must not sink the other vantages
        lines.put((name, {"failed": CannotRunError(name, f"{type(error).__name__}: {error}")}))
    finally:
        lines.put((name, {"end": True}))

"""Which ladders a vantage is to climb after its cells: one to each destination of which some were silent. Pure.

A vantage climbs five, the most that go at once (:mod:`netprobe.prober.ladder`): each takes up to seven seconds, and a
sixth destination seldom tells of another place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from netprobe.prober.ladder import AT_ONCE
from netprobe.reach.listener import Protocol
from netprobe.reach.messages import LEAST_SIZE, MOST_SIZE, Answer, LadderRequest
from netprobe.reach.plan import Question
from netprobe.reach.settings import Settings

__all__ = ["ladders_to"]

_HEADERS: Final = 48  # bytes: the larger one of IPv6 and UDP


def ladders_to(lost: Iterable[tuple[Question, Answer]], settings: Settings) -> tuple[LadderRequest, ...]:
    """The requests for what was lost, as questions and their silent answers. TCP before UDP: more filters know it."""
    chosen: dict[str, LadderRequest] = {}
    for question, answer in sorted(lost, key=lambda pair: pair[0].listener.protocol):
        destination = question.destination
        if destination.text in chosen or destination.ip.is_multicast or destination.ip.is_link_local:
            continue
        if len(chosen) == AT_ONCE:
            break
        protocol = question.listener.protocol
        hangs = answer.stage == "payload"
        source = settings.source if settings.source and settings.source.version == destination.version else None
        other: Protocol = "udp" if protocol == "tcp" else "tcp"
        chosen[destination.text] = LadderRequest(
            address=destination.text,
            port=question.listener.port,
            protocol="udp" if hangs else protocol,
            source=source.text if source else None,
            source_zone=source.zone if source else None,
            size=min(max(settings.payload_size + _HEADERS, LEAST_SIZE), MOST_SIZE) if hangs else None,
            control_protocol=None if hangs else other,
        )
    return tuple(chosen.values())

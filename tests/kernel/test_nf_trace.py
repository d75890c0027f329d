"""The kernel's messages become packets: each begins where it was marked, in whatever order rows of many come."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable

import pytest

from netprobe.kernel import nf_trace
from netprobe.kernel.netlink import attribute
from netprobe.kernel.nf_tables import FAMILIES, Change, NfTables, be32, be64, string
from netprobe.kernel.nf_trace import Mark, Packet, Tracer

MARK = Mark("tcp", None, None, None, 80)
QUESTION = ("10.0.0.2", 40000, "10.0.0.1", 80)


class Traced(Tracer):
    """One whose rows come from the test: nothing is opened."""

    def __init__(self) -> None:
        super().__init__([MARK])
        self._table = "own"

    def row(
        self,
        chain: str,
        verdict: int = -1,
        *,
        number: int = 7,
        family: str = "inet",
        table: str = "own",
        handle: int | None = 2,
        flow: tuple[str, int, str, int] | None = QUESTION,
    ) -> None:
        body = attribute(1, string(table)) + attribute(2, string(chain)) + attribute(4, be32(3))
        body += attribute(6, be32(number)) + attribute(5, attribute(1, be32(verdict)))
        body += b"" if handle is None else attribute(3, be64(handle))
        if flow is not None:
            addresses = socket.inet_aton(flow[0]) + socket.inet_aton(flow[2])
            body += attribute(8, b"\x45" + bytes(8) + bytes([6]) + bytes(2) + addresses)
            body += attribute(9, struct.pack(">HH", flow[1], flow[3]))
        self._take(bytes([FAMILIES[family], 0, 0, 0]) + body)

    def _hook_of(self, family: str, table: str, chain: str) -> str | None:
        return None

    @property
    def all(self) -> list[Packet]:
        return self.packets()


def drops(packet: Packet) -> list[int | None]:
    return [row.handle for row in packet.rows if row.verdict == "drop"]


def test_a_packet_is_what_one_mark_began() -> None:
    tracer = Traced()
    tracer.row("prerouting")
    tracer.row("input", 0, table="f", handle=14)
    (only,) = tracer.all
    assert (only.direction, only.protocol, *only[2:6]) == ("question", "tcp", *QUESTION)
    assert drops(only) == [14]


def test_a_number_that_is_used_again_is_another_packet() -> None:
    tracer = Traced()
    tracer.row("prerouting")
    tracer.row("input", 0, table="f", handle=14)
    tracer.row("prerouting")
    tracer.row("late_input", 1, handle=None)
    assert [drops(packet) for packet in tracer.all] == [[14], []]


def test_what_a_device_or_a_bridge_has_marked_goes_on_with_the_next_mark() -> None:
    tracer = Traced()
    tracer.row("ingress", family="netdev")
    tracer.row("prerouting", family="bridge")
    tracer.row("prerouting")
    tracer.row("input", 0, table="f", handle=14)
    (only,) = tracer.all
    assert drops(only) == [14]


def test_another_destination_in_a_later_chain_is_a_translation() -> None:
    tracer = Traced()
    tracer.row("prerouting")
    tracer.row("late_input", 1, handle=None, flow=(*QUESTION[:2], "172.17.0.2", 8080))
    (only,) = tracer.all
    assert only.destinations == (("10.0.0.1", 80), ("172.17.0.2", 8080))


def test_mixed_rows_are_told_apart_by_their_numbers() -> None:
    tracer = Traced()
    tracer.row("prerouting")
    tracer.row("prerouting", number=8, flow=("10.0.0.2", 40001, "10.0.0.1", 80))
    tracer.row("input", 0, table="f", handle=14, number=8)
    tracer.row("late_input", 1, handle=None)
    assert [drops(packet) for packet in tracer.all] == [[], [14]]
    assert [packet.source_port for packet in tracer.packets(40001)] == [40001]


def test_the_answer_is_one() -> None:
    tracer = Traced()
    tracer.row("output", flow=("10.0.0.1", 80, "10.0.0.2", 40000))
    assert [packet.direction for packet in tracer.all] == ["answer"]


def test_the_table_of_another_tracer_is_none_of_the_packets_way() -> None:
    tracer = Traced()
    tracer.row("prerouting")
    tracer.row("prerouting", table="netprobe_2_1")
    (only,) = tracer.all
    assert len(only.rows) == 1


def test_more_than_are_kept_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf_trace, "MOST_PACKETS", 3)
    tracer = Traced()
    for port in range(5):
        tracer.row("prerouting", number=port, flow=("10.0.0.2", port, "10.0.0.1", 80))
    assert len(tracer.all) == 3
    assert tracer.incomplete


class Refusing(NfTables):
    """nf_tables of another kernel, or of somebody without the right: it says ``number`` instead."""

    number = errno.EPERM
    only_owned = False
    taken: list[list[Change]] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()

    def commit(self, changes: Iterable[Change]) -> None:
        listed = list(changes)
        owned = any(kind == 0 and attribute(2, be32(2)) in body for kind, _, _, body in listed)
        if owned or not self.only_owned:
            raise OSError(self.number, os.strerror(self.number))
        self.taken.append(listed)

    def ask(self, kind: int, family: int, body: bytes, every: bool = False) -> list[tuple[int, bytes]]:
        return []


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EPERM, "needs root (CAP_NET_ADMIN)"),
        (errno.EOPNOTSUPP, "this kernel has no nf_tables"),
        (errno.ENOENT, "refused by nf_tables: No such file or directory"),
    ],
)
def test_what_the_kernel_refuses_is_said_in_one_line(number: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf_trace, "NfTables", type("_", (Refusing,), {"number": number}))
    with Tracer([MARK]) as tracer:
        assert tracer.why_not() == why
        assert tracer.packets() == []


def test_before_5_12_the_marks_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf_trace, "NfTables", type("_", (Refusing,), {"number": errno.EINVAL, "only_owned": True}))
    monkeypatch.setattr(Refusing, "taken", [])
    with Tracer([MARK], expires_s=30) as tracer:
        assert tracer.why_not() is None
        assert not tracer.has_owner
        assert tracer.remarks == ("before Linux 5.12 its marks expire after 30 s",)
        bodies = b"".join(body for changes in Refusing.taken for *_, body in changes)
        assert attribute(4, be64(30_000)) in bodies
        opened = len(Refusing.taken)
    assert len(Refusing.taken) > opened, "its tables are deleted at the end"

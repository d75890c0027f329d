"""Netlink framing: what is cut short, what is an error, what is asked for again."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import Self

import pytest

from netprobe.kernel import netlink
from netprobe.kernel.netlink import Message, attribute, attributes, messages

KIND = 99


def framed(kind: int, body: bytes = b"", flags: int = 0, sequence: int = 1) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def code(number: int) -> bytes:
    return struct.pack("=i", -number)


DONE = framed(netlink.NLMSG_DONE, code(0))


@pytest.mark.parametrize("data", [b"\x05\x00\x00\x00", struct.pack("=IHHII", 4, 16, 0, 0, 0), b"\xff" * 32])
def test_a_message_that_is_cut_short_is_an_error_not_a_loop(data: bytes) -> None:
    if len(data) < 16:
        assert list(messages(data)) == []
    else:
        with pytest.raises(OSError, match="cut short"):
            list(messages(data))


def test_messages_are_read_with_their_padding() -> None:
    data = framed(KIND, b"abcde") + framed(KIND, b"fg", flags=2)
    assert list(messages(data)) == [Message(KIND, 0, 1, b"abcde"), Message(KIND, 2, 1, b"fg")]


def test_attributes_that_are_cut_short_end_the_list() -> None:
    whole = struct.pack("=HH", 8, 3) + b"abcd"
    assert attributes(whole + b"\x09\x00\x01") == {3: b"abcd"}
    assert attributes(whole + struct.pack("=HH", 0, 1)) == {3: b"abcd"}
    assert attributes(whole + struct.pack("=HH", 99, 1)) == {3: b"abcd"}


def test_an_attribute_is_read_as_it_was_written() -> None:
    assert attributes(b"fixed..." + attribute(7, b"abcde") + attribute(0x8000 | 8, b"f"), 8) == {7: b"abcde", 8: b"f"}


class FakeKernel:
    """A netlink socket whose answers stand in a list; a new one is opened for each request."""

    def __init__(self, *answers: list[bytes | OSError]) -> None:
        self.answers = iter(answers)
        self.asked: list[bytes] = []
        self.now: Iterator[bytes | OSError] = iter(())

    def __call__(self, family: int, kind: int, protocol: int) -> Self:
        self.now = iter(next(self.answers))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        pass

    def bind(self, address: tuple[int, int]) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.asked.append(data)

    def recv(self, size: int) -> bytes:
        answer = next(self.now)
        if isinstance(answer, OSError):
            raise answer
        return answer


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[bytes | OSError]) -> FakeKernel:
    kernel = FakeKernel(*answers)
    monkeypatch.setattr("netprobe.kernel.netlink.socket.socket", kernel)
    monkeypatch.setattr(netlink, "AF_NETLINK", 16)
    return kernel


def test_a_dump_goes_on_over_several_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [framed(KIND, b"a") + framed(KIND, b"b"), framed(KIND, b"c"), DONE])
    assert netlink.dump(0, KIND, b"") == [b"a", b"b", b"c"]


def test_an_empty_dump_is_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [DONE])
    assert netlink.dump(0, KIND, b"") == []


def test_answers_to_somebody_else_and_no_ops_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [framed(KIND, b"x", sequence=7), framed(netlink.NLMSG_NOOP), framed(KIND, b"a") + DONE])
    assert netlink.dump(0, KIND, b"") == [b"a"]


@pytest.mark.parametrize("kind", [netlink.NLMSG_ERROR, netlink.NLMSG_DONE])
def test_the_kernel_s_errno_is_raised(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [framed(kind, code(errno.EPERM))])
    with pytest.raises(PermissionError):
        netlink.dump(0, KIND, b"")


def test_a_dump_that_was_interrupted_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = answering(monkeypatch, [framed(KIND, b"old", netlink.NLM_F_DUMP_INTR), DONE], [framed(KIND, b"new"), DONE])
    assert netlink.dump(0, KIND, b"") == [b"new"]
    assert len(kernel.asked) == 2


def test_a_table_that_never_stands_still_is_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    changing: list[bytes | OSError] = [framed(KIND, b"x", netlink.NLM_F_DUMP_INTR), DONE]
    kernel = answering(monkeypatch, *[changing] * 5)
    assert netlink.dump(0, KIND, b"") == [b"x"]
    assert len(kernel.asked) == 5


@pytest.mark.parametrize("lost", [OSError(errno.ENOBUFS, "no room"), framed(netlink.NLMSG_OVERRUN)])
def test_a_dump_that_lost_a_part_is_asked_for_again(lost: bytes | OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = answering(monkeypatch, [framed(KIND, b"a"), lost], [framed(KIND, b"a"), framed(KIND, b"b"), DONE])
    assert netlink.dump(0, KIND, b"") == [b"a", b"b"]
    assert len(kernel.asked) == 2


def test_a_dump_with_a_hole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    losing: list[bytes | OSError] = [framed(KIND, b"a"), OSError(errno.ENOBUFS, "no room")]
    answering(monkeypatch, *[losing] * 5)
    with pytest.raises(OSError, match="no room"):
        netlink.dump(0, KIND, b"")


def test_a_dump_that_ends_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [framed(KIND, b"a"), b""])
    with pytest.raises(OSError, match="ended early"):
        netlink.dump(0, KIND, b"")


def test_a_request_has_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [framed(KIND, b"a")], [framed(netlink.NLMSG_ERROR, code(0))])
    assert netlink.request(0, KIND, b"") == b"a"
    with pytest.raises(OSError, match="without answering"):
        netlink.request(0, KIND, b"")


def test_where_there_is_no_netlink_that_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "AF_NETLINK", None)
    with pytest.raises(OSError, match=r"(?i)address family"):
        netlink.dump(0, KIND, b"")


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="no netlink here")
def test_the_kernel_answers_an_unknown_type_with_an_error() -> None:
    with pytest.raises(OSError):
        netlink.request(0, 0x7FF, bytes(16))

"""The wire format: only who knows the nonce can read and write a proof."""

from __future__ import annotations

import pytest

from netprobe.prober import wire


def test_only_who_knows_the_nonce_can_read_and_write_a_proof() -> None:
    line = wire.probe_line("secret", "ab" * 16, 0)
    assert wire.read_probe("secret", line) == ("ab" * 16, 0)
    assert wire.read_probe("other", line) is None
    reply = wire.reply_line("secret", "ab" * 16, "t0@::1", ("192.0.2.1", 5), "192.0.2.2")
    known = wire.read_reply("secret", "ab" * 16, reply)
    assert known is not None
    assert (known["listener"], known["observed"], known["observed_port"]) == ("t0@::1", "192.0.2.1", 5)
    assert wire.read_reply("other", "ab" * 16, reply) is None
    assert wire.read_reply("secret", "cd" * 16, reply) is None
    assert wire.read_reply("secret", "ab" * 16, reply.replace(b"192.0.2.1", b"192.0.2.9")) is None
    assert b"secret" not in line + reply


@pytest.mark.parametrize(
    "garbage", [b"", b"\n", b"\xff" * 40, b"netprobe/1 probe a b -1", b"netprobe/1 probe \xe9 b 1"]
)
def test_garbage_is_nobodys_line(garbage: bytes) -> None:
    assert wire.read_probe("secret", garbage) is None
    assert wire.read_reply("secret", "a", garbage) is None


def test_a_payload_has_its_size_and_its_challenge() -> None:
    assert wire.pattern("abc", 7) == b"abcabca"
    assert wire.pattern("abc", 0) == b""


def test_a_receipt_is_handed_on_and_part_of_the_proof() -> None:
    reply = wire.reply_line("secret", "ab", "t0@::1", ("192.0.2.1", 5), "192.0.2.2", "feed")
    known = wire.read_reply("secret", "ab", reply)
    assert known is not None
    assert known["receipt"] == "feed"
    assert wire.read_reply("secret", "ab", reply.replace(b"feed", b"beef")) is None


@pytest.mark.parametrize("name", ["t0@fe80::1%\xfc0", "t0@fe80::1%\u63a5\u7d9a"])
def test_an_interface_of_another_script_does_not_break_the_line(name: str) -> None:
    known = wire.read_reply("secret", "ab", wire.reply_line("secret", "ab", name, ("fe80::2", 5), "fe80::1"))
    assert known is not None
    assert known["listener"] == name


def test_a_nonce_of_any_bytes_is_a_nonce() -> None:
    """As an argument that is not UTF-8 comes (PEP 383)."""
    nonce = "\udcff\xe9"
    assert wire.read_probe(nonce, wire.probe_line(nonce, "ab", 0)) == ("ab", 0)


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 60_000, "\xb2", "\u0661", "-1", "1_0"])
def test_a_number_is_a_few_ascii_digits_even_where_the_proof_is_right(digits: str) -> None:
    """Who knows the nonce can prove anything; int() must not be made to raise or to think."""
    probe = "netprobe/1 probe ab {} {}".format(wire.proof("secret", "probe", "ab", digits), digits).encode()
    assert wire.read_probe("secret", probe) is None
    assert wire.read_reply("secret", "ab", wire.reply_line("secret", "ab", "t0", ("192.0.2.1", digits), "x")) is None


@pytest.mark.parametrize("around", [(b"x", b""), (b"", b"x\n"), (b"", b"\nnetprobe/1"), (b"netprobe/1 ", b"")])
def test_a_reply_is_the_whole_line(around: tuple[bytes, bytes]) -> None:
    reply = wire.reply_line("secret", "ab", "t0", ("192.0.2.1", 5), "192.0.2.2")
    assert wire.read_reply("secret", "ab", around[0] + reply + around[1]) is None

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

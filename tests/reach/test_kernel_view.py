"""Whose connection it is that the kernel shows: by both ports, by address, and not at all where it may be two."""

from __future__ import annotations

import pytest

from netprobe.diagnosis.attribute import HALF_OPEN
from netprobe.kernel import sock_diag
from netprobe.kernel.sock_diag import SYN_RECV, DiagSocket
from netprobe.reach import kernel_view
from netprobe.reach.facts import HostAddress, HostFacts
from netprobe.reach.kernel_view import KernelView, _state_of
from netprobe.reach.scoped_address import ScopedAddress

OTHER = HostFacts(addresses=(HostAddress(ScopedAddress.parse("192.0.2.9")),))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({}, (None, False)),
        ({"192.0.2.1": HALF_OPEN}, (HALF_OPEN, False)),
        ({"192.0.2.9": "ESTABLISHED", "192.0.2.1": HALF_OPEN}, (HALF_OPEN, False)),
        ({"192.0.2.7": HALF_OPEN}, (HALF_OPEN, False)),  # translated
        ({"192.0.2.9": HALF_OPEN}, (None, True)),  # the other vantage's, or translated by it
        ({"192.0.2.9": HALF_OPEN, "192.0.2.7": "ESTABLISHED"}, ("ESTABLISHED", False)),
    ],
)
def test_a_connection_with_the_probe_s_ports_is_not_another_vantage_s(
    ends: dict[str, str], expected: tuple[str | None, bool]
) -> None:
    assert _state_of(ends, "192.0.2.1", (OTHER,)) == expected


def test_spoofed_sources_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers may send from any address and from one port: what counts are the ends, not the pairs of ports."""
    flood = [DiagSocket(SYN_RECV, "192.0.2.1", 80, f"198.51.100.{n}", 4000, 0, 0, 0) for n in range(200)]
    monkeypatch.setattr(sock_diag, "half_open", lambda family: flood)
    monkeypatch.setattr(kernel_view, "MOST_WATCHED", 50)
    view = KernelView(_ports=frozenset({80}))
    view.watch()
    assert len(view._half_open[80, 4000]) == 50

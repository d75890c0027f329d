"""Two streams compared as they flow, however either is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.echo.clients import comparison as comparison_module
from netprobe.echo.clients.comparison import Comparison

cuts = st.lists(st.binary(max_size=9), max_size=12)


@given(cuts, st.randoms(use_true_random=False))
def test_equal_streams_are_equal_however_they_are_cut(pieces: list[bytes], random: object) -> None:
    comparison, whole = Comparison(), b"".join(pieces)
    for piece in pieces:
        comparison.add_sent(piece)
    at = 0
    while at < len(whole):
        size = random.randint(1, 5)  # type: ignore[attr-defined]
        comparison.add_received(whole[at : at + size])
        at += size
    assert (comparison.end(), comparison.first_difference) == (True, None)


@given(cuts, cuts)
def test_the_first_difference_is_where_the_streams_part(out: list[bytes], back: list[bytes]) -> None:
    comparison = Comparison()
    for piece in out:
        comparison.add_sent(piece)
    for piece in back:
        comparison.add_received(piece)
    sent, came = b"".join(out), b"".join(back)
    same = next((i for i, (a, b) in enumerate(zip(sent, came, strict=False)) if a != b), min(len(sent), len(came)))
    assert comparison.end() is (sent == came)
    assert comparison.first_difference == (None if sent == came else same)


def test_too_much_under_way_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_module, "LIMIT", 100)
    comparison = Comparison()
    for _ in range(3):
        comparison.add_sent(bytes(60))
    comparison.add_received(bytes(180))
    assert comparison.end() is None

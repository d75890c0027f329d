"""What ``echo serve`` makes of its options, where that is more than click's own types."""

from __future__ import annotations

import pytest

from tests.conftest import Run


@pytest.mark.parametrize("size", ["", "x", "12X", "-3M", "1e9", "٣M", "1M5", "9" * 5000, "1.2.3M", "nan", "inf"])
def test_a_size_that_is_none_is_refused_in_a_line(netprobe: Run, size: str) -> None:
    ran = netprobe("echo", "serve", "--port", "0", f"--memory={size}")
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("netprobe: echo serve: ")
    assert "is not a size such as" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


def test_a_budget_must_hold_something(netprobe: Run) -> None:
    ran = netprobe("echo", "serve", "--port", "0", "--memory", "1023K")
    assert ran.status == 2
    assert "1048576" in ran.stderr


@pytest.mark.parametrize(
    ("text", "size"),
    [("1048576", 1 << 20), ("1024K", 1 << 20), ("1.5m", 3 << 19), ("2G", 2 << 30), ("3GiB", 3 << 30), ("4MB", 4 << 20)],
)
def test_a_size_has_units_of_1024(text: str, size: int) -> None:
    from netprobe.commands.echo.serve.options import Size

    assert Size(min=1).convert(text, None, None) == size

"""Several processes: order kept, faults told, nobody left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netprobe.errors import CannotRunError
from netprobe.parallel import in_order

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are made by fork(2)")


def test_the_order_of_the_blocks_is_kept() -> None:
    assert list(in_order(lambda n: n * n, range(50), 3)) == [n * n for n in range(50)]


def test_fewer_blocks_than_processes_are_enough() -> None:
    assert list(in_order(str, [1], 4)) == ["1"]
    assert list(in_order(str, [], 4)) == []


def test_large_blocks_go_through_in_both_directions() -> None:
    blocks = [bytes([n]) * 5_000_000 for n in range(5)]
    assert list(in_order(lambda block: block * 2, blocks, 2)) == [block * 2 for block in blocks]


def test_no_more_than_a_block_a_process_is_taken_ahead() -> None:
    taken: list[int] = []

    def blocks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(int, blocks(), 2)
    assert next(results) == 0
    assert len(taken) <= 3
    results.close()  # type: ignore[attr-defined]


def test_what_the_function_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda n: 1 // n, [1, 0], 2))


def test_a_worker_that_is_killed_is_an_error_not_a_hang() -> None:
    with pytest.raises(CannotRunError, match="was killed"):
        list(in_order(lambda n: os.kill(os.getpid(), signal.SIGKILL), range(4), 2))


def test_workers_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import os, time\n"
        "from netprobe.parallel import in_order\n"
        "def work(n):\n"
        "    return os.getpid()\n"
        "results = in_order(work, iter(range(100)), 2)\n"
        "print(next(results), next(results), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    watched = [os.pidfd_open(int(word)) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.communicate()
    for descriptor in watched:
        assert select.select([descriptor], [], [], 10)[0]
        os.close(descriptor)

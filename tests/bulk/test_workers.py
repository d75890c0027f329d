"""Several processes: order kept, faults told, nobody left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.bulk.workers import _AHEAD, deliver_in_turn, map_in_order
from netprobe.errors import CannotRunError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are made by fork(2)")


def test_the_order_of_the_blocks_is_kept() -> None:
    assert list(map_in_order(lambda n: n * n, range(50), 3)) == [n * n for n in range(50)]


def test_fewer_blocks_than_processes_are_enough() -> None:
    assert list(map_in_order(str, [1], 4)) == ["1"]
    assert list(map_in_order(str, [], 4)) == []


def test_large_blocks_go_through_in_both_directions() -> None:
    blocks = [bytes([n]) * 5_000_000 for n in range(5)]
    assert list(map_in_order(lambda block: block * 2, blocks, 2)) == [block * 2 for block in blocks]


def test_no_more_than_a_block_a_process_is_taken_ahead() -> None:
    taken: list[int] = []

    def blocks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_order(int, blocks(), 2)
    assert next(results) == 0
    assert len(taken) <= 3
    results.close()  # type: ignore[attr-defined]


def test_what_the_function_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda n: 1 // n, [1, 0], 2))


def test_a_worker_that_is_killed_is_an_error_not_a_hang() -> None:
    with pytest.raises(CannotRunError, match="was killed"):
        list(map_in_order(lambda n: os.kill(os.getpid(), signal.SIGKILL), range(4), 2))


def test_workers_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import os, time\n"
        "from netprobe.bulk.workers import map_in_order\n"
        "def work(n):\n"
        "    return os.getpid()\n"
        "results = map_in_order(work, iter(range(100)), 2)\n"
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


@pytest.mark.parametrize(("parts", "processes"), [(0, 2), (1, 1), (1, 4), (7, 2), (50, 3)])
def test_parts_are_delivered_in_turn_and_hand_a_number_on(parts: int, processes: int) -> None:
    results = deliver_in_turn(parts, processes, lambda part: part * part, lambda square, sum_: (square, sum_ + square))
    assert list(results) == [part * part for part in range(parts)]
    carried = deliver_in_turn(parts, processes, lambda part: 1, lambda one, before: (before, before + one))
    assert list(carried) == list(range(parts))


def test_deliveries_go_out_one_after_the_other(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as out:

        def write(text: bytes, carried: int) -> tuple[int, int]:
            for at in range(0, len(text), 100):
                out.write(text[at : at + 100])
            return len(text), carried

        assert sum(deliver_in_turn(40, 4, lambda part: b"%d" % (part % 10) * 5000, write)) == 200_000
    assert (tmp_path / "out").read_bytes() == b"".join(b"%d" % (part % 10) * 5000 for part in range(40))


def test_a_slow_part_holds_up_nobody_but_its_delivery() -> None:
    prepared, tell = os.pipe()

    def prepare(part: int) -> int:
        if part % 2:
            os.write(tell, b"x")
        elif part == 0:  # until the other worker has prepared all that it may ahead of its turn
            for _ in range(_AHEAD + 1):
                assert select.select([prepared], [], [], 20)[0], "the other one waits"
                os.read(prepared, 1)
        return part

    try:
        assert list(deliver_in_turn(30, 2, prepare, lambda part, carried: (part, carried))) == list(range(30))
    finally:
        os.close(prepared)
        os.close(tell)


def test_what_comes_before_a_part_that_fails_is_delivered() -> None:
    def prepare(part: int) -> int:
        assert part != 12, "the thirteenth"
        return part

    results = deliver_in_turn(30, 2, prepare, lambda part, carried: (part, carried))
    assert [next(results) for _ in range(12)] == list(range(12))
    with pytest.raises(AssertionError, match="the thirteenth"):
        next(results)


def test_after_an_exception_nothing_more_is_delivered(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def append(part: int, carried: int) -> tuple[None, int]:
        with out.open("a") as file:
            file.write(f"{1 // (3 - part)} ")
        return None, carried

    with pytest.raises(ZeroDivisionError):
        list(deliver_in_turn(10, 3, int, append))
    assert len(out.read_text().split()) == 3


def test_a_killed_worker_ends_its_neighbours_too() -> None:
    def kill_the_second(part: int) -> int:
        if part == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    results = deliver_in_turn(9, 3, kill_the_second, lambda part, carried: (part, carried))
    assert next(results) == 0
    with pytest.raises(CannotRunError, match="was killed"):
        next(results)
    with pytest.raises(ChildProcessError):  # all were waited for
        os.waitpid(-1, os.WNOHANG)


def test_workers_in_turn_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import os\n"
        "from netprobe.bulk.workers import deliver_in_turn\n"
        "def deliver(part, carried):\n"
        "    print(os.getpid(), flush=True)\n"
        "    return part, carried\n"
        "results = deliver_in_turn(100_000_000, 2, int, deliver)\n"
        "for _ in results: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert len({parent.stdout.readline() for _ in range(2)}) == 2  # both are at work
        parent.kill()
        parent.stdout.read()  # ends when the last worker has closed it


@pytest.mark.parametrize("how", ["map_in_order(work, iter(range(99)), 2)", "deliver_in_turn(99, 2, int, deliver)"])
def test_workers_in_the_middle_of_a_write_end_with_a_parent_that_is_killed(how: str) -> None:
    """They wait for a reader that does not come, and look at no pipe of their parent's."""
    program = (
        "import os\n"
        "from netprobe.bulk.workers import deliver_in_turn, map_in_order\n"
        "def deliver(part, carried):\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"
        "    os.write(1, bytes(10_000_000))\n"
        "    return part, carried\n"
        "def work(n):\n"
        "    return deliver(n, 0)\n"
        f"for _ in {how}: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        assert select.select([worker], [], [], 20)[0]
        os.close(worker)

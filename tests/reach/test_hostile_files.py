"""--expect and --inventory, given anything at all: one line, status 2, and not much memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import clean_environment, needs

# How netprobe ended, and the most memory that it had, as the kernel saw it (proc(5)).
PROGRAM = (
    "import sys\n"
    "from netprobe.__main__ import main\n"
    "status = main(sys.argv[1:])\n"
    "print(status, next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
)
MEMORY_KIB = 200 << 10
M = 1 << 20


def fifo(path: Path) -> None:
    os.mkfifo(path)


def content(make: Callable[[], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(make())

    return write


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def folder(path: Path) -> None:
    path.mkdir()


ROW = b'[[cell]]\nbind = "192.0.2.17"\nobserved = "reachable"\n'
BOMB = "a0: &a0 {hosts: {h1: {}}}\n" + "".join(
    f"a{n}: &a{n} {{children: {{{', '.join(f'c{i}: *a{n - 1}' for i in range(9))}}}}}\n" for n in range(1, 9)
)
ANYTHING = {
    "fifo": fifo,
    "zero": link("/dev/zero"),
    "urandom": link("/dev/urandom"),
    "folder": folder,
    "dangling": link("nowhere"),
    "large": content(lambda: b"#" * (17 * M)),
    "NULs": content(lambda: bytes(16 * M)),
    "spaces": content(lambda: b" " * (16 * M)),
    "lines": content(lambda: b"\n" * (16 * M)),
    "one line": content(lambda: b"x" * (16 * M)),
    "astral": content(lambda: "\U0001f600".encode() * (4 * M)),
    "brackets": content(lambda: b"[" * (16 * M)),
    "utf-16": content(lambda: "[web]\nh\n".encode("utf-16")),
    "binary": content(lambda: Path(sys.executable).read_bytes()[: 16 * M]),
}
EXPECT = {
    "dots.toml": content(lambda: b"a" + b".a" * (8 * M - 10) + b" = 1"),
    "number.toml": content(lambda: b"a = 1." + b"1" * (16 * M - 10)),
    "rows.toml": content(lambda: ROW * (16 * M // len(ROW))),
    "array.toml": content(lambda: b"a = [" + b"[]," * (5 * M) + b"]"),
    "deep.json": content(lambda: b'{"a":' * (3 * M)),
    "lists.json": content(lambda: b'{"cell":[' + b"[]," * (5 * M) + b"1]}"),
    "rows.json": content(lambda: b'{"cell":[' + b'{"observed":"refused"},' * 240_000 + b"{}]}"),
}
INVENTORY = {
    "bomb.yml": content(lambda: BOMB.encode()),
    "self.yml": content(lambda: b"g: &a\n  children:\n    x: *a\n"),
    "deep.yml": content(lambda: b"- " * (8 * M)),
    "flow.yml": content(lambda: b"[" + b"a," * (8 * M - 1)),
    "tags.yml": content(lambda: b"".join(b"%%TAG !e%d! x\n" % n for n in range(200_000))),
    "python.yml": content(lambda: b"g: {hosts: {h: !!python/object/apply:os.abort []}}"),
    "ranges.ini": content(lambda: b"[g]\nweb[1:9999][1:9999][1:9999]\n"),
    "words.ini": content(lambda: b"[g]\n" + (b"h" + b" a=b" * 1000 + b"\n") * 1500 + b"'"),
}


@pytest.mark.parametrize(
    ("option", "name", "make"),
    [  # no case gets as far as a host: nothing is probed
        *(("--expect", *case) for case in {**ANYTHING, **EXPECT}.items()),
        *(("--inventory", *case) for case in {**ANYTHING, **INVENTORY}.items()),
    ],
)
def test_whatever_the_file_is_it_is_refused_in_a_line(
    option: str, name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    if name.endswith(".yml"):
        pytest.importorskip("yaml")
    path = tmp_path / name
    make(path)
    group = ["--from", "group:g"] if option == "--inventory" else []
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "bindtest", "--addr", "127.0.0.1", "--tcp", option, str(path), *group],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        env=clean_environment({"PATH": "/usr/bin:/bin"}),  # without ansible-inventory
        check=False,
    )
    status, memory = map(int, ran.stdout.split())
    said = ran.stderr.splitlines()
    assert status in (2, 3), ran.stderr
    assert said[0].startswith("netprobe: ")
    assert len(said) == 1 or (len(said) == 2 and said[1].startswith("hint: "))
    assert "internal error" not in ran.stderr
    assert len(ran.stderr) < 1500
    assert memory < MEMORY_KIB, f"{memory} KiB"


def test_a_command_in_the_place_of_a_file_is_read(tmp_path: Path) -> None:
    needs("bash")
    script = (
        "netprobe() { " + sys.executable + ' -m netprobe "$@"; }\n'
        "netprobe bindtest --addr 127.0.0.1 --to 127.0.0.1 --tcp --save matrix.toml &&\n"
        "netprobe bindtest --addr 127.0.0.1 --to 127.0.0.1 --tcp --expect <(sleep 0.3; cat matrix.toml) &&\n"
        "netprobe bindtest --addr 127.0.0.1 --tcp --from group:g --inventory <(echo '[other]'; sleep 0.1; echo h)"
    )
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "netprobe: group g: the inventory has no such group\nhint: groups are all, other\n"

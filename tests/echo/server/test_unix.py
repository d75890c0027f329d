"""Unix sockets: who gets the path, whose file is removed, and what is left alone."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import socket
import stat
import threading
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from netprobe.echo.server import unix as module
from netprobe.echo.server.unix import unix_listener
from netprobe.errors import CannotRunError, InvalidInputError, NetprobeError
from tests.conftest import Run


def leave_dead_socket(path: Path, kind: int = socket.SOCK_STREAM) -> None:
    """The file of a server that was killed."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, kind) as dead:
        dead.bind(str(path))


def reaches(listener: socket.socket, path: Path) -> bool:
    """Does who connects to ``path`` come to ``listener``?"""
    listener.settimeout(5)
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.connect(str(path))
        accepted, _ = listener.accept()
        accepted.close()
    return True


def test_a_start_in_the_middle_of_another_does_not_listen_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one starts right before the first one removes the dead file that it has found."""
    path = tmp_path / "echo"
    leave_dead_socket(path)
    results: list[object] = []

    def second() -> None:
        try:
            results.append(unix_listener(str(path), 4))
        except NetprobeError as error:
            results.append(error)

    thread = threading.Thread(target=second)

    def unlink(dead: Path) -> None:
        monkeypatch.undo()
        thread.start()
        thread.join(0.5)  # it ends at once if nothing keeps it from starting, and else not before we are done
        dead.unlink()

    monkeypatch.setattr(Path, "unlink", unlink)
    first = unix_listener(str(path), 4)
    thread.join(20)
    (other,) = results
    with first:
        assert isinstance(other, CannotRunError)
        assert "something listens there" in str(other)
        assert reaches(first, path)


def start_often(path: str, rounds: int, together: Barrier, told: Any) -> None:
    for number in range(rounds):
        if together.wait() == 0:
            leave_dead_socket(Path(path))
        together.wait()
        try:
            listener = unix_listener(path, 4)
        except CannotRunError as error:
            listener = None
            told.put((number, "something listens there" in str(error)))
        together.wait()
        if listener is not None:
            told.put((number, reaches(listener, Path(path)) and "listens"))
            listener.close()
        together.wait()


def test_of_servers_that_start_together_exactly_one_listens(tmp_path: Path) -> None:
    rounds, processes = 100, 4
    context = multiprocessing.get_context("fork")
    together, told = context.Barrier(processes, timeout=60), context.Queue()
    servers = [
        context.Process(target=start_often, args=(str(tmp_path / "echo"), rounds, together, told))
        for _ in range(processes)
    ]
    for server in servers:
        server.start()
    heard = [told.get(timeout=60) for _ in range(rounds * processes)]
    for server in servers:
        server.join(60)
    for number in range(rounds):
        assert sorted(str(what) for round_, what in heard if round_ == number) == ["True"] * (processes - 1) + [
            "listens"
        ]


def test_nothing_is_left_beside_the_socket(tmp_path: Path) -> None:
    with unix_listener(str(tmp_path / "echo"), 4):
        assert [file.name for file in tmp_path.iterdir()] == ["echo"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_process_has_locked_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(CannotRunError, match="another process has locked this folder"):
            unix_listener(str(tmp_path / "echo"), 4)
    finally:
        os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["dead", "file", "nothing", "folder"])
def test_a_planted_link_is_neither_followed_nor_removed(target: str, tmp_path: Path) -> None:
    leave_dead_socket(tmp_path / "dead")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    link = tmp_path / "echo"
    link.symlink_to(tmp_path / target)
    with pytest.raises(CannotRunError, match="exists and is not a socket"):
        unix_listener(str(link), 4)
    assert link.is_symlink()
    assert stat.S_ISSOCK((tmp_path / "dead").stat().st_mode)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_socket_of_any_type_that_somebody_has_stays(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "echo"
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            other.listen(1)
        with pytest.raises(CannotRunError, match="is taken"):
            unix_listener(str(path), 4)
        assert path.exists()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_dead_file_of_any_type_is_replaced(kind: int, tmp_path: Path) -> None:
    leave_dead_socket(tmp_path / "echo", kind)
    with unix_listener(str(tmp_path / "echo"), 4) as listener:
        assert reaches(listener, tmp_path / "echo")


def test_a_file_that_took_the_place_of_the_dead_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a program that asks for no lock, while connect(2) is tried."""
    path = tmp_path / "echo"
    leave_dead_socket(path)

    class Slow(socket.socket):
        def connect(self, address: Any) -> None:
            try:
                super().connect(address)
            finally:
                path.unlink()
                path.write_text("mine")

    monkeypatch.setattr(socket, "socket", Slow)
    with pytest.raises(CannotRunError, match="exists and is not a socket"):
        unix_listener(str(path), 4)
    assert path.read_text() == "mine"


def test_a_file_that_is_no_longer_ours_stays_when_we_close(tmp_path: Path) -> None:
    path = tmp_path / "echo"
    listener = unix_listener(str(path), 4)
    path.unlink()
    with unix_listener(str(path), 4) as successor:
        listener.close()
        assert reaches(successor, path)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0, 0o777)])
def test_the_umask_says_who_may_connect(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with unix_listener(str(tmp_path / "echo"), 4):
            assert stat.S_IMODE((tmp_path / "echo").stat().st_mode) == mode
    finally:
        os.umask(before)


@pytest.mark.parametrize("path", ["", "\0abstract", "/tmp/nul\0"])
def test_a_path_that_is_none_is_wrong_usage(path: str) -> None:
    with pytest.raises(InvalidInputError, match="--unix"):
        unix_listener(path, 4)


def test_a_path_that_is_too_long_or_cannot_be_is_one_line(tmp_path: Path, netprobe: Run) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, why in (
        (f"/tmp/{'x' * 200}", "AF_UNIX path too long"),
        (str(tmp_path / "file" / "echo"), "Not a directory"),
        (str(tmp_path / "missing" / "echo"), "No such file"),
        (str(tmp_path / "folder"), "exists and is not a socket"),
        (str(tmp_path / "folder") + "/", "exists and is not a socket"),
    ):
        ran = netprobe("echo", "serve", "--unix", path)
        assert (ran.status, ran.stdout, ran.stderr.count("netprobe: ")) == (3, "", 1), ran.stderr
        assert why in ran.stderr


@pytest.mark.parametrize(("mode", "why"), [(0o555, "Permission denied"), (0o333, "its folder cannot be locked")])
def test_a_folder_without_permission_is_one_line(
    mode: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(mode)
    monkeypatch.chdir(tmp_path)
    own = os.geteuid()
    if own == 0:  # who may do everything
        os.chown(tmp_path, 65534, -1)
        os.seteuid(65534)
    try:
        with pytest.raises(CannotRunError, match=why):
            unix_listener("echo", 4)
    finally:
        os.seteuid(own)
        tmp_path.chmod(0o755)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    own = Path("/proc/self/fd")
    if not own.exists():
        pytest.skip("counts in /proc")
    before = len(list(own.iterdir()))
    with ExitStack() as stack:
        stack.enter_context(unix_listener(str(tmp_path / "echo"), 4))
        with pytest.raises(CannotRunError):
            unix_listener(str(tmp_path / "echo"), 4)
        assert len(list(own.iterdir())) == before + 1
    assert len(list(own.iterdir())) == before

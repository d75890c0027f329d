"""Files for output: made new under a name nobody knows, through no link, whole or not at all, with the old mode."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe import files
from netprobe.errors import CannotRunError
from netprobe.files import OutputFile, check_writable, write_text
from tests.conftest import NETPROBE, cannot_run, clean_environment, needs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, modes and pipes of POSIX")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts for another user, which needs root")
NOBODY = 65534


@pytest.fixture(params=["nameless", "named"])
def draft(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of drafts; the second is for file systems without O_TMPFILE."""
    if request.param == "named":
        monkeypatch.setattr(files._Draft, "_open_nameless", lambda *_: None)
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody may write to, as in case of /tmp."""
    made = tmp_path / "shared"
    made.mkdir()
    made.chmod(0o1777)
    return made


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def as_nobody(work: Callable[[], object]) -> str:
    """What ``work`` raises in a process of the user nobody; "" for nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
        except BaseException as error:
            said = str(error) or repr(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as source:
        said = source.read()
    os.waitpid(child, 0)
    return said


# Through no link.


@pytest.mark.usefixtures("draft")
def test_a_link_at_the_target_is_replaced_and_what_it_points_to_stays(folder: Path) -> None:
    victim = folder.parent / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    for place in (folder, folder.parent):
        (place / "out").symlink_to(victim)
        check_writable(place / "out")
        assert (place / "out").is_symlink()
        write_text(place / "out", "report")
        assert not (place / "out").is_symlink()
        assert ((place / "out").read_text(), victim.read_text()) == ("report", "precious")
        assert stat.S_IMODE((place / "out").stat().st_mode) == 0o666 & ~_umask()
    assert names(folder) == ["out"]


def test_a_link_without_a_target_is_replaced(folder: Path) -> None:
    (folder / "out").symlink_to(folder / "nowhere")
    write_text(folder / "out", "report")
    assert names(folder) == ["out"]


def test_a_link_to_a_folder_is_refused(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)
    with pytest.raises(CannotRunError, match="is a directory"):
        check_writable(folder / "out")


def test_another_name_of_the_same_file_keeps_the_old_content(folder: Path) -> None:
    victim = folder.parent / "victim"
    victim.write_text("precious")
    os.link(victim, folder / "out")
    write_text(folder / "out", "report")
    assert ((folder / "out").read_text(), victim.read_text()) == ("report", "precious")


def test_a_draft_has_a_name_that_nobody_can_know_and_is_made_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files._Draft, "_open_nameless", lambda *_: None)
    seen: list[tuple[str, int]] = []
    real = os.open

    def watched(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            seen.append((str(path), flags))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", watched)
    for _ in range(2):
        write_text(folder / "out", "report")
    used = [name for name, _ in seen]
    assert len(set(used)) == len(used) == 4  # two checks, two drafts
    assert all(re.fullmatch(r"\.netprobe-[0-9a-f]{24}", name) for name in used)
    assert all(flags & os.O_EXCL and flags & os.O_NOFOLLOW for _, flags in seen)


@pytest.mark.usefixtures("draft")
def test_a_folder_that_is_swapped_while_writing_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    with OutputFile(tmp_path / "here" / "out") as file:
        file.write(b"report")
        (tmp_path / "here").rename(tmp_path / "old")
        (tmp_path / "here").symlink_to(tmp_path / "there")
    assert (names(tmp_path / "old"), names(tmp_path / "there")) == (["out"], [])


# With the old file's mode and owner.


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize(("mode", "kept"), [(0o640, 0o640), (0o600, 0o600), (0o666, 0o666), (0o6755, 0o755)])
def test_the_mode_is_kept_without_its_set_id_bits(tmp_path: Path, mode: int, kept: int) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    path.chmod(mode)
    write_text(path, "after")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("after", kept)


@pytest.mark.usefixtures("draft")
def test_a_new_file_is_as_the_umask_wants_it(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "out", "")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@needs_root
@pytest.mark.usefixtures("draft")
def test_root_keeps_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    os.chown(path, NOBODY, 4242)
    path.chmod(0o640)
    write_text(path, "after")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, 4242, 0o640)


@needs_root
def test_a_group_that_cannot_be_given_leaves_no_rights_to_another_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    path = tmp_path / "out"
    path.write_text("before")
    os.chown(path, NOBODY, 4242)
    path.chmod(0o664)
    os.chmod(tmp_path.parent, 0o755)  # noqa: PTH101
    with_access(tmp_path)
    assert as_nobody(lambda: write_text(path, "after")) == ""
    found = path.stat()
    assert (path.read_text(), found.st_gid, stat.S_IMODE(found.st_mode)) == ("after", NOBODY, 0o644)


@needs_root
def test_what_another_user_put_into_a_shared_folder_does_not_get_the_result(folder: Path) -> None:
    (folder / "out").write_text("planted")
    os.chown(folder / "out", NOBODY, NOBODY)
    (folder / "out").chmod(0o606)
    write_text(folder / "out", "report")
    found = (folder / "out").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o666 & ~_umask())
    os.mkfifo(folder / "pipe", 0o666)
    os.chown(folder / "pipe", NOBODY, NOBODY)
    with pytest.raises(CannotRunError, match="belongs to another user"):
        check_writable(folder / "pipe")


@pytest.mark.usefixtures("draft")
def test_an_acl_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    # acl(5): u::rw, u:nobody:rw, g::-, m::rw, o::-
    entries = ((0x01, 6, -1), (0x02, 6, NOBODY), (0x04, 0, -1), (0x10, 6, -1), (0x20, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no ACLs")
    write_text(path, "after")
    assert os.getxattr(path, "system.posix_acl_access") == acl
    with monkeypatch.context() as patch:
        patch.setattr(os, "setxattr", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
        write_text(path, "after")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # the mask's rights are not the group's


@pytest.mark.usefixtures("draft")
def test_what_a_folder_gives_others_by_default_does_not_open_an_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    path.chmod(0o660)
    entries = ((0x01, 7, -1), (0x02, 7, NOBODY), (0x04, 7, -1), (0x10, 7, -1), (0x20, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(tmp_path, "system.posix_acl_default", acl)
    except OSError:
        pytest.skip("this file system has no ACLs")
    write_text(path, "after")
    assert "system.posix_acl_access" not in os.listxattr(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


# Refused before the run.


def refused(path: Path) -> str:
    with pytest.raises(CannotRunError) as caught:
        check_writable(path)
    assert caught.value.what == str(path)
    return caught.value.why


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    assert refused(tmp_path) == "is a directory"
    assert refused(Path("/")) == "is a directory"
    assert refused(tmp_path / "..") == "is a directory"
    assert refused(tmp_path / "none" / "out") == "its directory does not exist"
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "out") == "Not a directory"
    assert refused(tmp_path / ("x" * 256)) == "File name too long"
    assert refused(tmp_path / ("x/" * 3000) / "out") == "File name too long"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert refused(tmp_path / "socket") == "is a socket"
    assert names(tmp_path) == ["file", "socket"]


def test_the_longest_name_that_is_allowed_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    check_writable(path)
    write_text(path, "report")
    assert path.read_text() == "report"


@needs_root
@pytest.mark.usefixtures("draft")
def test_what_the_user_has_no_permission_for_is_refused_at_once(tmp_path: Path, folder: Path) -> None:
    with_access(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "read-only").write_text("")
    (folder / "out").write_text("")
    (folder / "out").chmod(0o666)
    (folder / "link").symlink_to("anything")
    os.mkfifo(tmp_path / "open" / "pipe", 0o600)
    assert "Permission denied" in as_nobody(lambda: check_writable(tmp_path / "closed" / "out"))
    assert "Permission denied" in as_nobody(lambda: check_writable(tmp_path / "open" / "read-only"))
    assert "Permission denied" in as_nobody(lambda: check_writable(tmp_path / "open" / "pipe"))
    for name in ("out", "link"):
        assert "sticky bit" in as_nobody(lambda name=name: check_writable(folder / name))  # type: ignore[misc]
    assert as_nobody(lambda: check_writable(folder / "new")) == ""


@needs_root
def test_a_read_only_file_system_is_refused_and_a_mounted_file_is_written_in_place(tmp_path: Path) -> None:
    program = f"""if True:
    from pathlib import Path
    from netprobe.errors import CannotRunError
    from netprobe.files import check_writable, write_text
    path = Path({str(tmp_path)!r})
    try:
        check_writable(path / "ro" / "out")
    except CannotRunError as error:
        print(error.why)
    check_writable(path / "mounted")
    write_text(path / "mounted", "report")
    """
    (tmp_path / "ro").mkdir()
    (tmp_path / "mounted").write_text("below")
    (tmp_path / "source").write_text("a longer text, before")
    mounts = 'mount -t tmpfs -o ro none "$1/ro" && mount --bind "$1/source" "$1/mounted" || exit 77; exec "$2" -c "$3"'
    argv = ["unshare", "-m", "sh", "-c", mounts, "sh", str(tmp_path), sys.executable, program]
    needs("unshare")
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode == 77 or ran.stderr.startswith("unshare:"):
        cannot_run(f"no mount namespace: {ran.stderr.strip()}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Read-only file system\n", "")
    assert ((tmp_path / "source").read_text(), (tmp_path / "mounted").read_text()) == ("report", "below")
    assert names(tmp_path) == ["mounted", "ro", "source"]


# Whole or not at all.


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failed_write_costs_nothing_and_leaves_nothing(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_text("before")

    def full_disk(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(CannotRunError, match="out: No space left on device"):
            write_text(path, "after")
    assert (path.read_text(), names(tmp_path)) == ("before", ["out"])


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("ending", [KeyboardInterrupt, CannotRunError("peer", "went away")])
def test_a_run_that_is_ended_leaves_the_old_file(tmp_path: Path, ending: BaseException) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    with pytest.raises((KeyboardInterrupt, CannotRunError)), OutputFile(path) as file:
        file.write(b"half")
        raise ending
    assert (path.read_text(), names(tmp_path)) == ("before", ["out"])


@pytest.mark.usefixtures("draft")
def test_nothing_is_written_to_before_the_first_byte_and_an_empty_file_is_made_without_any(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "out"):
        assert names(tmp_path) == []
    assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.usefixtures("draft")
def test_content_is_on_the_disk_before_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        real_fsync(descriptor)

    def replace(*args: Any, **kwargs: Any) -> None:
        calls.append("rename")
        real_replace(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_text(tmp_path / "out", "report")
    assert calls == ["content", "rename", "folder"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no O_TMPFILE here")
def test_a_killed_send_leaves_the_old_file_and_no_other(number: signal.Signals, tmp_path: Path, half_echo: int) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    argv = [str(NETPROBE), "echo", "send", "--to", f"127.0.0.1:{half_echo}", "--output", str(path), "--timeout", "60"]
    with subprocess.Popen([*argv, "x" * 1000], stderr=subprocess.DEVNULL, env=clean_environment()) as process:
        try:
            wait_until(lambda: has_draft(process.pid, tmp_path))
            process.send_signal(number)
            process.wait(30)
        finally:
            process.kill()
    assert process.returncode not in (0, 3)
    assert (path.read_text(), names(tmp_path)) == ("before", ["out"])


def has_draft(process: int, folder: Path) -> bool:
    """Does it hold a nameless file of the folder?"""
    try:
        return any(str(entry.readlink()).startswith(str(folder)) for entry in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return False


@pytest.fixture
def half_echo() -> Iterator[int]:
    """A server that sends back a part, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            sock, _ = listener.accept()
            held.append(sock)
            sock.sendall(sock.recv(10))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)
        for sock in held:
            sock.close()


# Devices and pipes are written.


def test_a_device_is_written_and_its_errors_are_told() -> None:
    write_text(Path(os.devnull), "report")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    if Path("/dev/full").exists():
        check_writable(Path("/dev/full"))
        with pytest.raises(CannotRunError, match="/dev/full: No space left on device"):
            write_text(Path("/dev/full"), "report")


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd"], ids=["dev", "self", "own"])
def test_a_descriptor_is_written_where_it_stands(folder: str, tmp_path: Path) -> None:
    if not Path(folder).exists():
        pytest.skip(f"no {folder} here")
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        file.write(b"first ")
        check_writable(Path(f"{folder}/{file.fileno()}"))
        write_text(Path(f"{folder}/{file.fileno()}"), "second ")
        file.write(b"third")
    assert (path.read_text(), names(tmp_path)) == ("first second third", ["log"])
    with path.open("rb") as file:
        assert refused(Path(f"{folder}/{file.fileno()}")) == "is open for reading only"
    assert refused(Path(f"{folder}/999")) == "Bad file descriptor"


def test_a_named_pipe_is_written_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_text(pipe, "report" * 50_000)
    reader.join(30)
    assert got == [b"report" * 50_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_named_pipe_that_nobody_reads_is_an_error_and_no_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_READER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotRunError, match="pipe: nobody reads this pipe"):
        write_text(tmp_path / "pipe", "report")
    assert names(tmp_path) == ["pipe"]


def test_a_reader_that_has_gone_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(CannotRunError, match="its reader has gone"), OutputFile(tmp_path / "pipe") as file:
        file.write(b"first")
        os.close(reader)
        file.write(b"second")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name in ("out", "none/out", ".", "x" * 256, "pipe"):
        try:
            check_writable(tmp_path / name)
            if name == "out":
                write_text(tmp_path / name, "report")
        except CannotRunError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_text_that_utf_8_cannot_hold_is_escaped_as_json_does(tmp_path: Path) -> None:
    write_text(tmp_path / "out", '"\udcff"')
    assert (tmp_path / "out").read_bytes() == b'"\\udcff"'


def with_access(path: Path) -> None:
    """Let everybody through to ``path``, whose parents pytest made for this user only."""
    for parent in (path, *path.parents):
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(parent.stat().st_mode | 0o055)


def wait_until(done: Callable[[], bool]) -> None:
    """A condition that comes soon; 30 s at most."""
    event = threading.Event()
    for _ in range(3000):
        if done():
            return
        event.wait(0.01)
    pytest.fail("it did not come")


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found

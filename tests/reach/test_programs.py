"""Programs that netprobe starts: they get what they should, and none outlives it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from netprobe.reach.programs import Program, run
from tests.lab.asking import wait_until

DEAF = "trap '' HUP INT TERM; echo $$ > {told}.new; mv {told}.new {told}; while :; do sleep 600; done"
"""A program that ignores every polite request and reads nothing; {told} will have its number."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Program]]:
    """Programs of a test, ended after it; then no process, and no descriptor, is left."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.end()
    assert not Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def number_in(path: Path) -> int:
    """The number that a program has written there by now."""
    assert wait_until(path.exists, 30)
    return int(path.read_text("ascii"))


def runs(pid: int) -> bool:
    """Does this process still do anything? A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_has_its_words_and_its_stdin_untouched(started: list[Program]) -> None:
    words = ["", "a b", "$HOME", "`id`", "'\"", "-x", "*", "new\nline"]
    text = "import sys; print(sys.argv[1:]); print(sys.stdin.read(), end='')"
    program = Program([sys.executable, "-c", text, *words])
    started.append(program)
    program.stdin.write(b"first\nsecond\n")
    program.stdin.close()
    out = program.stdout.read()
    assert out == f"{words}\nfirst\nsecond\n".encode()
    assert program.status(30) == 0


def test_a_program_that_does_not_exist_is_not_found(started: list[Program]) -> None:
    with pytest.raises(FileNotFoundError):
        Program(["there-is-no-such-program"])


def test_a_program_that_cannot_be_executed_says_why(tmp_path: Path, started: list[Program]) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n", "ascii")
    script.chmod(0o755)
    program = Program([str(script)])
    started.append(program)
    words = program.stderr.read().decode()
    assert program.failed_to_start(program.status(30), words)


def test_a_programs_own_failure_is_not_one_of_starting_it(started: list[Program]) -> None:
    program = Program(["sh", "-c", "echo oh >&2; exit 127"])
    started.append(program)
    words = program.stderr.read().decode()
    assert program.failed_to_start(program.status(30), words) is None


def test_the_end_of_a_program_is_the_end_of_its_group(tmp_path: Path, started: list[Program]) -> None:
    told = tmp_path / "pid"
    program = Program(["sh", "-c", f"(sh -c {DEAF.format(told=told)!r} &) ; exit 7"])  # its leader is long gone
    started.append(program)
    assert program.status(30) == 7
    pid = number_in(told)
    watched = os.pidfd_open(pid)
    program.end()
    program.end()
    assert select.select([watched], [], [], 30)[0]
    os.close(watched)


def test_a_status_that_was_read_leaves_the_number_taken(started: list[Program]) -> None:
    program = Program(["sh", "-c", "kill -9 $$"])
    started.append(program)
    assert program.status(30) == -9
    assert program.status(0) == -9
    pid = int(Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()[-1])
    assert Path(f"/proc/{pid}").exists()


def test_a_watchdog_that_was_killed_is_replaced(tmp_path: Path, started: list[Program]) -> None:
    started.append(Program(["sleep", "600"]))
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    dog = next(int(pid) for pid in children.read_text("ascii").split() if b"while read" in command_of(int(pid)))
    os.kill(dog, signal.SIGKILL)
    assert wait_until(lambda: not runs(dog), 30)
    started.append(Program(["sleep", "600"]))
    dogs = [pid for pid in children.read_text("ascii").split() if b"while read" in command_of(int(pid))]
    assert len(dogs) == 1


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_finished_program_has_said_all(started: list[Program]) -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; cat; exit 3"], 30, 100)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


@pytest.mark.parametrize(
    ("script", "error"),
    [("sleep 600", TimeoutError), ("exec >&- 2>&-; sleep 600", TimeoutError), ("yes", OverflowError)],
)
def test_a_program_that_does_not_finish_is_ended(script: str, error: type[Exception], started: list[Program]) -> None:
    with pytest.raises(error):
        run(["sh", "-c", script], 0.5 if error is TimeoutError else 60, 100_000)


# What becomes of programs when the process that started them is killed.

STARTS_TWO = """\
import os, signal, sys, threading
from netprobe.reach import programs
{before}
def start(told):
    kept.append(programs.Program(["sh", "-c", {deaf!r}.replace("TOLD", told)]))
kept = []
threads = [threading.Thread(target=start, args=(told,)) for told in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("started", flush=True)
sys.stdin.read()
"""


@contextmanager
def starting(tmp_path: Path, before: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that starts two deaf programs from threads that end at once."""
    text = STARTS_TWO.format(before=before, deaf=DEAF.replace("{told}", "TOLD"))
    told = [str(tmp_path / name) for name in ("one", "two")]
    argv = [sys.executable, "-c", text, *told]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=30)
            for left in processes_about(tmp_path):
                os.kill(left, signal.SIGKILL)


def processes_about(path: Path) -> list[int]:
    """All that have this path among their words, but for this process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with suppress(OSError):
                found += [int(folder.name)] if str(path).encode() in (folder / "cmdline").read_bytes() else []
    return found


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_killed_process_takes_along_what_it_has_started(tmp_path: Path, whole_group: bool) -> None:
    with starting(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        pids = [number_in(tmp_path / name) for name in ("one", "two")]
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        assert wait_until(lambda: not any(map(runs, pids)), 30)


@pytest.mark.parametrize(
    "moment",
    [
        "programs._Watchdog.add = lambda *given: os.kill(os.getpid(), signal.SIGKILL)",
        "add = programs._Watchdog.add\n"
        "programs._Watchdog.add = lambda *given: (add(*given), os.kill(os.getpid(), signal.SIGKILL))",
    ],
    ids=["before it is registered", "before it may run"],
)
def test_killed_in_the_middle_of_a_start_it_has_started_nothing(tmp_path: Path, moment: str) -> None:
    with starting(tmp_path, moment) as process:
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
        assert wait_until(lambda: not processes_about(tmp_path), 30)
        assert not list(tmp_path.iterdir())

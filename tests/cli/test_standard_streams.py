"""Standard streams that are closed, and a system without /dev/null: one line, the right status, nothing mistaken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, Ran, cannot_run, clean_environment, needs, run_process

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")

ANSWER = "10.0.0.1\tprivate\t10.0.0.0/8\tclass A, private (10.0.0.0/8, RFC 1918), a host of 10.0.0.0/8\n"
NOT_COMPLETE = "netprobe: standard output: Bad file descriptor\nhint: the output is not complete\n"


def shell(line: str) -> Ran:
    """A line of the shell in which ``np`` is netprobe."""
    return run_process(["bash", "-c", f'np() {{ "{NETPROBE}" "$@"; }}; {line}'])


@pytest.mark.parametrize("command", ["classify -", "classify - --json", "classify - --count", "echo send -"])
def test_a_closed_stdin_is_one_line(command: str) -> None:
    ran = shell(f"np {command} <&-")
    assert ran.status == 3
    assert ran.stderr.splitlines()[0] == "netprobe: standard input: it is closed"
    assert len(ran.stderr.splitlines()) == 2


@pytest.mark.parametrize("closed", [">&-", ">&- <&-"])
def test_a_closed_stdout_is_an_error_and_not_silence(closed: str) -> None:
    ran = shell(f"np classify 10.0.0.1 {closed}")
    assert (ran.status, ran.stdout, ran.stderr) == (3, "", NOT_COMPLETE)


def test_a_closed_stderr_changes_neither_status_nor_answer() -> None:
    ran = shell("np classify 10.0.0.1 10.0.0.300 2>&-")
    assert (ran.status, ran.stdout, ran.stderr) == (2, ANSWER, "")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&- 2>&-"])
def test_with_every_stream_closed_the_status_is_the_answer(closed: str) -> None:
    assert shell(f"np classify 10.0.0.1 {closed}").status == 3
    assert shell(f"np classify 10.0.0.300 {closed}").status == 2


def test_no_file_or_socket_gets_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    path = tmp_path / "addresses"
    path.write_text("10.0.0.1\n")
    traced = tmp_path / "sitecustomize.py"
    traced.write_text(
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('addresses'):\n"
        "        import os\n"
        "        taken = []\n"
        "        for number in range(3):\n"
        "            try:\n"
        "                os.fstat(number)\n"
        "                taken.append(str(number))\n"
        "            except OSError:\n"
        "                pass\n"
        f"        log = os.open({str(tmp_path / 'log')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "        os.write(log, ' '.join(taken).encode())\n"
        "        os.close(log)\n"
        "sys.addaudithook(hook)\n"
    )
    path_of_python = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        ["bash", "-c", f'"{NETPROBE}" classify --file {path} <&- 2>&-'],
        env=clean_environment({"PYTHONPATH": path_of_python}),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"10.0.0.1\tprivate\t10.0.0.0/8\n")
    assert (tmp_path / "log").read_text() == "0 1 2"


WITHOUT_NULL = """
mount -t tmpfs none /dev || exit 77
"$NP" classify 10.0.0.1; echo "status $?"
"$NP" classify 10.0.0.1 >&-; echo "status $?"
"$NP" classify 10.0.0.1 | head -c 1; echo
"$NP" classify - 2>&1 <&-; echo "status $?"
"""


def test_a_root_directory_without_dev_null_will_do() -> None:
    needs("unshare")
    flags = ["-m"] if os.geteuid() == 0 else ["-rm"]
    done = subprocess.run(
        ["unshare", *flags, "bash", "-c", WITHOUT_NULL],
        capture_output=True,
        text=True,
        env=clean_environment({"NP": str(NETPROBE)}),
        timeout=60,
        check=False,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        cannot_run(f"no mount namespace: {done.stderr.strip()}")
    told = "netprobe: standard input: it is closed\nhint: netprobe classify - < FILE, or --file FILE\n"
    assert done.stderr == NOT_COMPLETE
    assert done.stdout == f"{ANSWER}status 0\nstatus 3\n1\n{told}status 3\n"

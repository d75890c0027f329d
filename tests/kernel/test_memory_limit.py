"""The smallest of all limits on memory counts, wherever it is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.kernel.memory_limit import memory_limit

MIB = 1024 * 1024


def tree(root: Path, cgroup: str, **limits: str) -> Path:
    """A proc and a sys of which only what is asked exists; ``__`` in a name stands for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in limits.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("memory_", "memory.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_the_limit_of_an_ancestor_holds_below_it(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/a/b\n", a__memory_max=str(3 * MIB), a__b__memory_max="max")
    assert memory_limit(root) == 3 * MIB


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    assert memory_limit(tree(tmp_path, "0::/../elsewhere\n", memory_max=str(5 * MIB))) == 5 * MIB


def test_version_1_has_a_hierarchy_for_memory(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "9:name=systemd:/\n4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n",
        memory__job__memory_limit_in_bytes=str(7 * MIB),
        memory__memory_limit_in_bytes="9223372036854771712",
    )
    assert memory_limit(root) == 7 * MIB


@pytest.mark.parametrize("text", ["", "max", "nonsense", "-5", "٣", "9" * 400])
def test_what_is_no_number_is_no_limit(tmp_path: Path, text: str) -> None:
    plain = memory_limit(tmp_path / "nothing")
    assert memory_limit(tree(tmp_path, "0::/\n", memory_max=text)) == plain


@pytest.mark.skipif(os.name != "posix", reason="limits of processes are POSIX")
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process(name: str) -> None:
    program = (
        f"import resource; resource.setrlimit(resource.{name}, (900 << 20, 900 << 20));"
        "from netprobe.kernel.memory_limit import memory_limit; print(memory_limit())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert 0 < int(done.stdout) <= 900 * MIB

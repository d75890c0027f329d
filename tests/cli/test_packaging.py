"""What is shipped: the wheel holds the package, its typing mark, the licence, the man pages, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netprobe.version import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_is_named_after_the_distribution(wheel: Path) -> None:
    assert wheel.name == f"netprobe_cli-{__version__}-py3-none-any.whl"


def test_the_wheel_holds_the_package_its_pages_and_its_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"netprobe_cli-{__version__}"
    assert {"netprobe/py.typed", "netprobe/cli.py", f"{info}.dist-info/licenses/LICENSE"} <= names
    pages = {Path(name).name for name in names if name.startswith(f"{info}.data/data/share/man/man1/")}
    assert pages == {page.name for page in (ROOT / "man").iterdir()}
    assert {name.split("/")[0] for name in names} == {"netprobe", f"{info}.dist-info", f"{info}.data"}
    assert {"netprobe/render/report.css", "netprobe/render/report.js"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".so")) or name.startswith("tests")]


def test_the_licence_and_the_python_are_declared(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(f"netprobe_cli-{__version__}.dist-info/METADATA").decode()
    assert "License-Expression: MIT\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    entries = archive.read(f"netprobe_cli-{__version__}.dist-info/entry_points.txt").decode()
    assert "netprobe = netprobe.__main__:script" in entries


def test_it_runs_out_of_a_zip(wheel: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        f"import netprobe.__main__ as main; assert {str(wheel)!r} in main.__file__\n"
        "sys.exit(main.main())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"netprobe {__version__}\n", "")

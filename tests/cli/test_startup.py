"""What a command does not load: asserted on ``sys.modules``, because time differs from machine to machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("rich", "asyncio", "netifaces", "importlib.metadata", "multiprocessing", "concurrent.futures", "ipaddress")


@pytest.mark.parametrize(
    "arguments", [["classify", "172.20.1.5"], ["classify", "--json", "2001:db8::1"], ["--version"]]
)
def test_a_piped_classify_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from netprobe.__main__ import main\n"
        f"status = main({arguments!r})\n"
        f"print('loaded', status, sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "loaded 0 []", done.stderr


@pytest.mark.parametrize("form", ["plain", "json", "ndjson", "csv"])
def test_no_machine_readable_form_loads_rich(form: str) -> None:
    program = (
        "import sys; from netprobe.__main__ import main\n"
        f"main(['interfaces', '--format', {form!r}])\n"
        "print('loaded', 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "loaded False", done.stderr

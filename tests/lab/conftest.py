"""The lab as a fixture: ``lab("pc1-pc2")`` builds ``networks/pc1-pc2.toml`` and takes it down after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import cannot_run
from tests.lab.network import Lab, describe, why_not
from tests.lab.sshd import Sshd, why_no_sshd

BuildLab = Callable[[str | Mapping[str, Any]], Lab]
StartSshd = Callable[[Lab], Sshd]


@pytest.fixture
def lab() -> Iterator[BuildLab]:
    """Build networks by name or from a description; in CI a lab that cannot be built is a failure, not a skip."""
    reason = why_not()
    if reason is not None:
        cannot_run(f"no lab: {reason}")
    with ExitStack() as stack:
        yield lambda wanted: stack.enter_context(Lab(describe(wanted) if isinstance(wanted, str) else wanted))


@pytest.fixture
def sshd(tmp_path: Path) -> StartSshd:
    """Keys for a lab whose hosts are to have sshds; a lab that cannot have them is a failure in CI."""
    reason = why_no_sshd()
    if reason is not None:
        cannot_run(reason)
    return lambda network: Sshd(network, tmp_path)

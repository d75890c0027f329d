"""Contract tests of what reaches into the lab use its fixtures."""

from tests.lab.conftest import lab, sshd

__all__ = ["lab", "sshd"]

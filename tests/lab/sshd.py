"""Debian's sshd in a host of the lab, with keys of its own, and an ``ssh`` that knows only them.

The ``ssh`` is a two-line program in front of the real one which gives it our configuration: OpenSSH takes the home
directory from the password file, so HOME cannot lead it elsewhere.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.network import Lab

__all__ = ["Sshd", "why_no_sshd"]

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def why_no_sshd() -> str | None:
    """Why no sshd can be started here; None where one can."""
    if not Path(SSHD).exists() or shutil.which("ssh") is None:
        return "openssh-server is not installed"
    if os.geteuid() != 0:
        return "only root can serve logins inside a namespace of the lab"
    return None


class Sshd:
    """The keys of a test and the servers that have them; ``environment`` finds our ``ssh``."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.known = directory / "known_hosts"
        self.config = directory / "ssh_config"
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
        self.public = (directory / "host.pub").read_text("utf-8").strip()
        self.known.touch()
        self.config.write_text(
            f"IdentityFile {directory}/user\nIdentitiesOnly yes\nUserKnownHostsFile {self.known}\n"
            f"GlobalKnownHostsFile none\nStrictHostKeyChecking yes\nUser {getpass.getuser()}\n",
            "utf-8",
        )
        programs = directory / "programs"
        programs.mkdir()
        ssh = programs / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n', "utf-8")
        ssh.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def start(
        self, host: str, address: str, port: int = 22, known: bool = True, log: str | None = None, **settings: str
    ) -> str:
        """An sshd in ``host`` that listens on ``address``; ``settings`` are lines of sshd_config(5).

        With ``log``, it writes its log to a file of that name, too.
        """
        Path("/run/sshd").mkdir(exist_ok=True)
        config = self.directory / f"sshd_config-{address}-{port}"
        lines: Mapping[str, str] = {
            "ListenAddress": f"{address}:{port}",
            "HostKey": f"{self.directory}/host",
            "AuthorizedKeysFile": f"{self.directory}/user.pub",
            "StrictModes": "no",
            "UsePAM": "no",
            "PidFile": "none",
            "PasswordAuthentication": "no",
            "SetEnv": "SHLVL=2",  # or bash would run this user's own .bashrc (bash(1), INVOCATION)
            **settings,
        }
        config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()), "utf-8")
        command = [SSHD, "-D", "-e", "-f", str(config)]
        if log is not None:
            command = ["sh", "-c", '"$@" 2>&1 | tee "$0"', str(self.directory / log), *command]
        self.lab.start(host, *command, ready="Server listening", stderr=subprocess.STDOUT)
        if known:
            where = address if port == 22 else f"[{address}]:{port}"
            with self.known.open("a", encoding="utf-8") as file:
                file.write(f"{where} {self.public}\n")
        return address if port == 22 else f"{address}:{port}"

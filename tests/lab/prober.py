"""bindtest inside a lab host, asked from another one: ``python -m tests.lab.prober`` with a JSON request on stdin.

A vantage is an argv that runs ``python -`` in the other namespace. What comes out is a JSON list of cells.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netprobe.reach.bindtest import Bindtest, Settings
from netprobe.reach.probe import LocalSession, Session
from netprobe.reach.records import Address, BindOptions
from netprobe.sockets import payload


class Elsewhere:
    """A session in another namespace of the lab."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self._argv = argv
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, request: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]) -> None:
        source = Path(payload.__file__).read_text("utf-8")
        program = f"{source}\nmain({json.dumps(dict(request))!r})\n".encode()
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._process.stdin as stdin:
            stdin.write(program)
        for line in self._process.stdout:
            emit(json.loads(line))
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()


def main() -> None:
    """Run one request."""
    asked = json.load(sys.stdin)
    sessions: list[Session] = [
        Elsewhere(name, argv) if argv else LocalSession() for name, argv in asked["vantages"].items()
    ]
    settings = Settings(
        binds=tuple(Address.parse(text) for text in asked["bind"]),
        protocols=tuple(asked.get("protocols", ("tcp", "udp"))),
        to=tuple(Address.parse(text) for text in asked.get("to", ())),
        source=Address.parse(asked["source"]) if "source" in asked else None,
        timeout=asked.get("timeout", 1.0),
        payload_size=asked.get("payload", 0),
        options=BindOptions(**asked.get("options", {})),
    )
    with Bindtest(settings, sessions) as test:
        json.dump([asdict(cell) for cell in test.cells()], sys.stdout)


if __name__ == "__main__":
    main()

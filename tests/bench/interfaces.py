"""A thousand interfaces: ``netprobe interfaces`` beside ``ip -json addr``: ``python -m tests.bench.interfaces``."""

from __future__ import annotations

import sys

from tests.bench.pairs import alternate, print_ratios
from tests.conftest import NETPROBE
from tests.lab.network import Lab

PEER = "ip -json addr, then import click"


def main() -> None:
    """Print the table; the aim is a ratio of at most 3."""
    with Lab({"hosts": {"one": {}}}) as lab:
        host = lab["one"]
        batch = "".join(
            f"link add a{n} type veth peer name b{n}\naddr add 10.{n >> 8}.{n & 255}.1/24 dev a{n}\n"
            for n in range(500)
        )
        host.run("ip", "-batch", "-", input=batch)
        commands = {
            PEER: host.argv(["sh", "-c", f"ip -json addr; {sys.executable} -c 'import click'"]),
            "netprobe interfaces": host.argv([str(NETPROBE), "interfaces"]),
            "netprobe interfaces --json": host.argv([str(NETPROBE), "interfaces", "--json"]),
        }
        print_ratios(alternate(commands, runs=9), PEER)


if __name__ == "__main__":
    main()

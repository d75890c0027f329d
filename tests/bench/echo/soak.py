"""Hours of mixed work on three servers, bounded: ``python -m tests.bench.echo.soak [seconds]`` (60 by default).

At the same time: a load of messages, one of new connections, one stream, framed messages and datagrams, and peers that
reset, stall or send garbage. Every round the servers' resident memory and open descriptors are read from /proc. At the
end the table says whether they grew after the first rounds, and whether anything was lost.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.echo.build import Running, netprobe_server
from tests.bench.echo.compare import resident
from tests.conftest import NETPROBE, clean_environment

SECONDS = 60.0
ROUND_S = 5.0
SERVERS = {  # one that counts short messages by the batch, one by the peer, and one of frames
    "plain": ("--udp",),
    "idle-timeout": ("--udp", "--idle-timeout", "30"),
    "framed": ("--framed",),
}


def main() -> None:
    """Run the rounds and print a row for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with ExitStack() as stack:
        servers = {name: stack.enter_context(netprobe_server(*options)) for name, options in SERVERS.items()}
        rows: list[dict[str, tuple[int, int]]] = []
        lost = messages = 0
        ends = time.monotonic() + seconds
        print("round", *(f"{name:>12} KiB  fds" for name in servers), f"{'messages':>13} {'lost':>6}")
        while time.monotonic() < ends:
            done, missing = one_round(servers, min(ROUND_S, max(ends - time.monotonic(), 1.0)))
            messages += done
            lost += missing
            rows.append({name: (resident(server.pid), descriptors(server.pid)) for name, server in servers.items()})
            print(f"{len(rows):>5}", *(f"{kib:>16} {fds:>4}" for kib, fds in rows[-1].values()), end=" ")
            print(f"{messages:>13,} {lost:>6}", flush=True)
    if len(rows) < 4:
        return
    half = len(rows) // 2
    for name in servers:
        before, after = (median(row[name][0] for row in part) for part in (rows[1:half], rows[half:]))
        fds = max(row[name][1] for row in rows[half:]) - max(row[name][1] for row in rows[1:half])
        print(f"{name}: second half against the first: {after - before:+.0f} KiB, {fds:+d} descriptors")


def one_round(servers: Mapping[str, Running], seconds: float) -> tuple[int, int]:
    """All kinds of work at once for a while: messages that came back, and those that did not."""
    plain, timed, framed = (servers[name] for name in SERVERS)
    with ExitStack() as stack:
        loads = [
            stack.enter_context(started("load", server, "--duration", str(seconds), *options))
            for server, options in (
                (plain, ("--connections", "20")),
                (timed, ("--connections", "20")),
                (timed, ("--churn",)),
                (plain, ("--stream", "--connections", "1")),
            )
        ]
        per_ping = max(int(seconds * 100), 1)
        pings = [
            stack.enter_context(started("ping", server, "--count", str(per_ping), "--interval", "0.01", option))
            for server, option in ((plain, "--udp"), (framed, "--framed"))
        ]
        for _ in nuisances(list(servers.values()), seconds):
            pass
        done = missing = 0
        for process in loads:
            (figures,) = json.loads(process.communicate(timeout=60)[0])["results"]
            done += figures["messages"]
            missing += figures["unanswered"]
        for process in pings:
            summary = json.loads(process.communicate(timeout=60)[0])["summary"]
            done += summary["received"]
            missing += summary["sent"] - summary["received"]
        return done, missing


def started(command: str, server: Running, *options: str) -> subprocess.Popen[str]:
    """One of our clients."""
    argv = [str(NETPROBE), "echo", command, f"127.0.0.1:{server.port}", "--json", *options]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=clean_environment())


def nuisances(servers: Sequence[Running], seconds: float) -> Iterator[None]:
    """Peers that reset in the middle, go without a word, or speak no frames."""
    rng = random.Random(time.monotonic_ns())
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for server in servers:
            with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
                sock.sendall(rng.randbytes(rng.randrange(1, 5000)))
                if rng.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.02)
        yield


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    assert os.name == "posix"
    main()

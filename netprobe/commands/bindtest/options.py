"""``netprobe bindtest``: its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["bindtest"]


@command(
    examples=[
        ("netprobe bindtest --addr 0.0.0.0", "who on this host can reach what is bound to 0.0.0.0?"),
        ("netprobe bindtest --explain", "every local address and both wildcards, with the rules behind the verdicts"),
        (
            "netprobe bindtest --addr 0.0.0.0 --from local --from ssh:web1",
            "and who can from web1? (nothing is installed there)",
        ),
        ("netprobe bindtest --addr 0.0.0.0 --listen-only", "prints the command to run on another machine"),
    ]
)
@option("--addr", multiple=True, metavar="ADDRESS", help="Bind address.  [default: every local one, both wildcards]")
@option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0: any free one.")
@option("--tcp", is_flag=True, help="TCP only (both by default).")
@option("--udp", is_flag=True, help="UDP only (both by default).")
@option("--to", multiple=True, metavar="ADDRESS", help="One more destination.")
@option(
    "--from",
    multiple=True,
    metavar="[NAME=]VANTAGE",
    help="Test from local, netns:NAME, ssh:[user@]host[:port], docker:C, podman:C, "
    "kubectl:[namespace/]pod[:container], exec:COMMAND or group:NAME.  [default: local]",
)
@option("--python", multiple=True, metavar="[NAME=]PATH", help="The Python to run at every vantage, or at one.")
@option("--inventory", metavar="FILE", help="Ansible inventory with the groups of --from group:NAME.")
@option("--save", metavar="FILE", help="Write the matrix as an expectation (TOML; JSON where FILE ends in .json).")
@option("--expect", metavar="FILE", help="Compare with an expectation: changed cells are shown, with exit status 1.")
@option("--source", metavar="ADDRESS", help="Source address of the probes.")
@option("--timeout", type=FiniteRange(0.05, 3600), default=2.0, metavar="SECONDS", help="Longest wait for a cell.")
@option(
    "--patience",
    type=FiniteRange(0, 3600),
    default=5.0,
    metavar="SECONDS",
    help="How long to retry silent cells of a host that limits its ICMP errors, one per second.",
)
@option(
    "--payload",
    type=click.IntRange(0, 64 << 20),
    default=0,
    metavar="BYTES",
    help="Also echo this many bytes (UDP: one datagram of at most 60000).",
)
@option("--v6only/--dual-stack", default=None, help="IPV6_V6ONLY on or off.  [default: the system's]")
@option("--device", metavar="IFACE", help="Bind listeners to an interface (SO_BINDTODEVICE).")
@option("--reuse-port", is_flag=True, help="Let listeners share a port (SO_REUSEPORT).")
@option("--freebind", is_flag=True, help="Bind addresses that no interface has (IP_FREEBIND).")
@option(
    "--keep",
    type=FiniteRange(0, 86400),
    metavar="SECONDS",
    help="Keep the listeners open this long after the test, and report who comes.",
)
@option("--listen-only", is_flag=True, help="Only listen (600 s, or --keep) and print the command for the other side.")
@option("--connect", multiple=True, metavar="HOST:PORT", help="Only connect, to what --listen-only printed.")
@option(
    "--nonce",
    metavar="N",
    help="The secret of the run to connect to; better by environment, as --listen-only prints it, since arguments "
    "are no secret (ps).",
)
@option("--wide", is_flag=True, help="Words instead of symbols, and a row for each protocol.")
@option("--matrix", is_flag=True, help="Show every cell, also where all of many are as expected.")
@option("--explain", is_flag=True, help="Print the rules that applied.")
@option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    help="Also write it as a picture.",
)
@option(
    "--html",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    help="Also write a report page.",
)
@output_options
def bindtest(output: Output, **given: Any) -> Exit:
    """Bind, connect, and say who can reach it: expected, observed, and why."""
    from netprobe.commands.bindtest.run import BindtestOptions, run
    from netprobe.commands.command_line import CommandLine

    return run(output, BindtestOptions(vantages=given.pop("from"), command=CommandLine.current(), **given))

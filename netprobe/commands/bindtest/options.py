"""``netprobe bindtest``: its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import FiniteRange, command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["bindtest"]

_BIND = "What to bind (default: every local address and both wildcards)"
_ASK = "Whom to ask, and what"
_BY_HAND = "By hand, where no ssh or container reaches"
_REPORT = "Compare and report"
_ONE_OF_THEM = "one of them  [both]"
_VERSION = "IPv4 or IPv6 only"


@command(
    short_help="bind, connect, and compare: expected, observed, why",
    examples=[
        ("netprobe bindtest 0.0.0.0", "who on this host?"),
        ("netprobe bindtest 0.0.0.0 --from ssh:web1", "and who from web1?"),
        ("netprobe bindtest 0.0.0.0 --save before.toml", "then change a rule, and --expect"),
        ("netprobe bindtest --explain", "every local address, and the rules behind the verdicts"),
        ("netprobe bindtest 0.0.0.0 --listen-only", "prints the command to run on another machine"),
    ],
    output_title=_REPORT,
    answers=("as expected", "a cell differs"),
)
@click.argument("addresses", shell_complete=completes("addresses"), metavar="[ADDRESS...]", nargs=-1)
@option(
    "--addr",
    shell_complete=completes("addresses"),
    multiple=True,
    metavar="ADDRESS",
    group=_BIND,
    help="Bind address or name, the same as the argument.  [default: every local one, both wildcards]",
    brief="same as the argument",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    group=_BIND,
    help="Port to listen on; 0: any free one. ADDRESS:PORT says the same.",
    brief="",
    default_text="any free one",
)
@option("--tcp", is_flag=True, group=_BIND, help="TCP only (both by default).", brief=_ONE_OF_THEM)
@option("--udp", is_flag=True, group=_BIND, help="UDP only (both by default).", brief=_ONE_OF_THEM)
@option("-4", "--ipv4", is_flag=True, group=_BIND, help="IPv4 only (both by default).", brief=_VERSION)
@option("-6", "--ipv6", is_flag=True, group=_BIND, help="IPv6 only (both by default).", brief=_VERSION)
@option(
    "--v6only/--dual-stack",
    default=None,
    group=_BIND,
    help="IPv6 sockets take IPv6 alone, or IPv4 as well (IPV6_V6ONLY on or off).  [default: the system's]",
    brief="IPv6 alone, or IPv4 through it as well",
)
@option(
    "--device",
    shell_complete=completes("interfaces"),
    metavar="IFACE",
    group=_BIND,
    help="Bind listeners to an interface (SO_BINDTODEVICE).",
    brief="on one interface",
)
@option(
    "--reuse-port",
    is_flag=True,
    group=_BIND,
    help="Let listeners share a port (SO_REUSEPORT).",
    brief="share the port",
)
@option(
    "--freebind",
    is_flag=True,
    group=_BIND,
    help="Bind addresses that no interface has (IP_FREEBIND).",
    brief="addresses that no interface has yet",
)
@option(
    "--from",
    shell_complete=completes("vantages"),
    multiple=True,
    metavar="[NAME=]WHERE",
    group=_ASK,
    help="Test from local, netns:NAME, ssh:[USER@]HOST[:PORT], docker:NAME, podman:NAME, "
    "kubectl:[NAMESPACE/]POD[:CONTAINER], exec:COMMAND or group:NAME.  [default: local]",
    brief="local, netns:NAME, ssh:[USER@]HOST[:PORT], docker:NAME, podman:NAME, kubectl:[NS/]POD[:CONTAINER], "
    "exec:COMMAND, group:NAME  [local]",
)
@option(
    "--inventory",
    type=click.Path(),
    metavar="FILE",
    group=_ASK,
    help="Ansible inventory with the groups of --from group:NAME.",
    brief="where group:NAME comes from (Ansible)",
)
@option(
    "--python",
    shell_complete=completes("pythons"),
    multiple=True,
    metavar="[NAME=]PATH",
    group=_ASK,
    help="The Python to run at every vantage, or at one.",
    brief="Python there  [python3]",
)
@option(
    "--to",
    shell_complete=completes("destinations"),
    multiple=True,
    metavar="HOST",
    group=_ASK,
    help="One more destination; a name is resolved at each vantage.",
    brief="one more destination",
)
@option(
    "--source",
    shell_complete=completes("addresses"),
    metavar="ADDRESS",
    group=_ASK,
    help="Source address of the probes.",
    brief="of the probes",
)
@option(
    "--payload",
    type=click.IntRange(0, 64 << 20),
    default=0,
    metavar="BYTES",
    group=_ASK,
    help="Also echo this many bytes (UDP: one datagram of at most 60000).",
    brief="also echo this many bytes",
)
@option(
    "--timeout",
    type=FiniteRange(0.05, 3600),
    default=2.0,
    metavar="S",
    group=_ASK,
    help="Longest wait for a cell, in seconds.",
    brief="wait per cell",
)
@option(
    "--patience",
    type=FiniteRange(0, 3600),
    default=5.0,
    metavar="S",
    group=_ASK,
    help="How long to retry silent cells of a host that limits its ICMP errors, one per second.",
    brief="ask again",
)
@option(
    "--trace",
    is_flag=True,
    group=_ASK,
    help="Name the rule, here or at a vantage, that stopped a probe, from the kernel's own trace (root there).",
    brief="name the rule that stopped a probe (root)",
)
@option(
    "--listen-only",
    is_flag=True,
    group=_BY_HAND,
    help="Only listen (600 s, or --keep) and print the command for the other side.",
    brief="listen, and print the command for the other side",
)
@option(
    "--connect",
    shell_complete=completes("destinations"),
    multiple=True,
    metavar="HOST:PORT",
    group=_BY_HAND,
    help="Only connect, to what --listen-only printed.",
    brief="that other side (its secret: NETPROBE_BINDTEST_NONCE)",
)
@option(
    "--nonce",
    metavar="SECRET",
    group=_BY_HAND,
    help="The secret of the run to connect to; better by environment, as --listen-only prints it, since arguments "
    "are no secret (ps).",
    brief="that secret, for every user here to see",
)
@option(
    "--keep",
    type=FiniteRange(0, 86400),
    metavar="S",
    group=_BY_HAND,
    help="Keep the listeners open this many seconds after the test, and report who comes.",
    brief="stay open after the test, and report who comes",
)
@option(
    "--save",
    type=click.Path(),
    metavar="FILE",
    group=_REPORT,
    help="Write the matrix as an expectation (TOML; JSON where FILE ends in .json).",
    brief="write the matrix as the expectation (TOML or JSON)",
)
@option(
    "--expect",
    type=click.Path(),
    metavar="FILE",
    group=_REPORT,
    help="Compare with an expectation: changed cells are shown, with exit status 1.",
    brief="compare with it: status 1 if a cell changed",
)
@option(
    "--html",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    group=_REPORT,
    help="Also write a report page.",
    brief="also write a report page, or a picture",
)
@option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    group=_REPORT,
    help="Also write it as a picture.",
    brief="also write a report page, or a picture",
)
@option("--explain", is_flag=True, group=_REPORT, help="Print the rules that applied.", brief="the rules that applied")
@option(
    "--matrix",
    is_flag=True,
    group=_REPORT,
    help="Show every cell, also where all of many are as expected.",
    brief="every cell, also where all are as expected",
)
@option(
    "--wide",
    is_flag=True,
    group=_REPORT,
    help="Words instead of symbols, and a row for each protocol.",
    brief="words for marks, a row for each protocol",
)
@output_options
@click.pass_context
def bindtest(ctx: click.Context, /, output: Output, addresses: tuple[str, ...], port: int, **given: Any) -> Exit:
    """Bind, connect, and say who can reach it: expected, observed, and why."""
    from netprobe.commands.bindtest.run import BindtestOptions, run
    from netprobe.commands.command_line import CommandLine
    from netprobe.commands.endpoints import bound_addresses, check_version, chosen_version

    given["addr"], given["port"] = bound_addresses(ctx, addresses, port)
    given["version"] = chosen_version(given.pop("ipv4"), given.pop("ipv6"))
    source = given["source"]
    check_version([*given["addr"], *given["to"], *([] if source is None else [source])], given["version"])
    return run(output, BindtestOptions(vantages=given.pop("from"), command=CommandLine.current(), **given))

"""``netprobe classify``: what is this address?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import command, completes, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["classify"]

_READ = "How to read it"
_TELL = "What else to tell"
_ASK = "Questions (netprobe classify --kinds lists the kinds)"
_MANY = "Many addresses (- is standard input)"
_TABLES = "Tables"


@command(
    short_help="what an address is: kind, block, network, what hides inside",
    examples=[
        ("netprobe classify 172.20.1.5", "what is this address?"),
        ("netprobe classify 172.20.255.255/24", "and what is it with this prefix?"),
        ("netprobe classify 172.15.0.0-172.32.255.255", "where does private begin and end?"),
        ("netprobe classify --is public 8.8.8.8", "yes or no? (exit status 0 or 1)"),
        ("netprobe classify - --not private < addresses", "which of these are not private?"),
    ],
    answers=("all valid, or yes", "no"),
)
@click.argument("addresses", shell_complete=completes("addresses"), metavar="[ADDRESS...]", nargs=-1)
@option(
    "--prefix",
    type=click.IntRange(0, 128),
    metavar="BITS",
    group=_READ,
    help="Prefix of addresses given without one.",
    brief="where none is given",
)
@option(
    "--lenient",
    is_flag=True,
    group=_READ,
    help="Accept every spelling that inet_aton does: 127.1, 0x7f.1, 010.1.1.1.",
    brief="legacy spellings, too: 127.1, 0x7f.1, 010.1.1.1",
)
@option(
    "--nat64",
    multiple=True,
    metavar="PREFIX",
    group=_READ,
    help="A NAT64 prefix of your network (RFC 6052).",
    brief="a NAT64 prefix of your network",
)
@option(
    "--here",
    is_flag=True,
    group=_TELL,
    help="Also say where this host's kernel finds the address: own, on-link, routed.",
    brief="where this host finds it: own, on-link, routed",
)
@option(
    "--bits", is_flag=True, group=_TELL, help="Also show the bits, network and host part separated.", brief="its bits"
)
@option("--card", is_flag=True, group=_TELL, help="Show each address as a card, however many.", brief="each as a card")
@option(
    "--is",
    shell_complete=completes("kinds"),
    metavar="KIND",
    group=_ASK,
    help="Exit status 0 if all are of this kind, 1 if any is not.",
    brief="are all of this kind? exit status 0 or 1",
)
@option(
    "--only",
    shell_complete=completes("kinds"),
    multiple=True,
    metavar="KIND",
    group=_ASK,
    help="Print only these kinds.",
    brief="print only these",
)
@option(
    "--not",
    shell_complete=completes("kinds"),
    multiple=True,
    metavar="KIND",
    group=_ASK,
    help="Leave these kinds out.",
    brief="leave these out",
)
@option(
    "--tally",
    "count",
    aliases=("--count",),
    is_flag=True,
    group=_ASK,
    help="Count addresses by kind.",
    brief="how many of each kind",
)
@option(
    "--file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    group=_MANY,
    help="Read addresses from FILE, one per line.",
    brief="one per line",
)
@option(
    "--field",
    type=click.IntRange(1),
    metavar="N",
    group=_MANY,
    help="The address is the N-th field of a line.",
    brief="N-th field of a line",
)
@option(
    "--delimiter",
    metavar="D",
    group=_MANY,
    help="What separates fields.",
    brief="of fields",
    default_text="white space",
)
@option(
    "--workers",
    "processes",
    aliases=("--processes",),
    type=click.IntRange(1, 64),
    metavar="N",
    group=_MANY,
    help="Processes that share a stream.",
    brief="processes",
    default_text="one per core, if large",
)
@option(
    "--registry",
    is_flag=True,
    group=_TABLES,
    help="Print IANA's special-purpose blocks and their date.",
    brief="IANA's special blocks",
)
@option("--kinds", is_flag=True, group=_TABLES, help="Print the kinds and what they mean.", brief="the kinds")
@output_options
def classify(output: Output, **given: Any) -> Exit:
    """Say what each ADDRESS is: class, kind, special block, role, network.

    ADDRESS is an address, address/prefix, address/netmask, a range a-b, a reverse name, or - for standard input.
    """
    from netprobe.commands.classify.run import ClassifyOptions, run

    return run(output, ClassifyOptions(asked=given.pop("is"), excluded=given.pop("not"), **given))

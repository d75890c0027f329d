"""``netprobe classify``: what is this address?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.commands.command import command, option, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Output

__all__ = ["classify"]


@command(
    examples=[
        ("netprobe classify 172.20.1.5", "what is this address?"),
        ("netprobe classify 172.20.255.255/24", "and what is it with this prefix?"),
        ("netprobe classify 172.15.0.0-172.32.255.255", "where does private begin and end?"),
        ("netprobe classify --is public 8.8.8.8", "yes or no? (exit status 0 or 1)"),
        ("netprobe classify - --not private < addresses", "which of these are not private?"),
    ]
)
@click.argument("addresses", metavar="[ADDRESS...]", nargs=-1)
@option("--prefix", type=click.IntRange(0, 128), metavar="BITS", help="Prefix of addresses given without one.")
@option("--here", is_flag=True, help="Also say where this host's kernel finds the address: own, on-link, routed.")
@option("--bits", is_flag=True, help="Also show the bits, network and host part separated.")
@option("--nat64", multiple=True, metavar="PREFIX", help="A NAT64 prefix of your network (RFC 6052).")
@option("--lenient", is_flag=True, help="Accept every spelling that inet_aton does: 127.1, 0x7f.1, 010.1.1.1.")
@option("--is", metavar="KIND", help="Exit status 0 if all are of this kind, 1 if any is not.")
@option("--only", multiple=True, metavar="KIND", help="Print only these kinds.")
@option("--not", multiple=True, metavar="KIND", help="Leave these kinds out.")
@option("--count", is_flag=True, help="Count addresses by kind.")
@option("--file", type=click.Path(dir_okay=False), metavar="FILE", help="Read addresses from FILE, one per line.")
@option("--field", type=click.IntRange(1), metavar="N", help="The address is the N-th field of a line.")
@option("--delimiter", metavar="D", help="What separates fields.  [default: white space]")
@option(
    "--processes",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Workers for a stream.  [default: one per core, if large]",
)
@option("--registry", is_flag=True, help="Print IANA's special-purpose blocks and their date.")
@option("--kinds", is_flag=True, help="Print the kinds and what they mean.")
@output_options
def classify(output: Output, **given: Any) -> Exit:
    """Say what each ADDRESS is: class, kind, special block, role, network.

    ADDRESS is an address, address/prefix, address/netmask, a range a-b, a reverse name, or - for standard input.
    """
    from netprobe.commands.classify.run import ClassifyOptions, run

    return run(output, ClassifyOptions(asked=given.pop("is"), excluded=given.pop("not"), **given))

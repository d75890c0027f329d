"""``netprobe classify``: what is this address?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netprobe.commands.options import command, output_options

if TYPE_CHECKING:
    from netprobe.errors import Exit
    from netprobe.render.output import Document, Output

__all__ = ["classify"]


@command(
    examples=[
        ("netprobe classify 172.20.1.5", "what is this address?"),
        ("netprobe classify 172.20.255.255/24", "and what is it with this prefix?"),
    ]
)
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@output_options
def classify(output: Output, addresses: tuple[str, ...]) -> Exit:
    """Say what each ADDRESS is: class, kind, special block, role, network."""
    from netprobe.address import Classification
    from netprobe.address import classify as classified
    from netprobe.errors import AddressError

    with output.document("classify", Classification, plain=_plain, view=_view) as document:
        for text in addresses:
            try:
                document.add(classified(text))
            except AddressError as error:
                document.error(error)
    return document.status


def _plain(record: object) -> str:
    from netprobe.render.delimited import plain_line

    return plain_line(record, ("input", "kind", "block.cidr", "summary"))


def _view(document: Document) -> None:
    from netprobe.render.classification import print_classifications

    print_classifications(document)

"""``netprobe echo``: the group of server and clients."""

from __future__ import annotations

import click

from netprobe.commands.echo_ping import ping
from netprobe.commands.echo_send import send
from netprobe.commands.echo_serve import serve
from netprobe.commands.options import Group

__all__ = ["echo"]


@click.group(
    cls=Group,
    examples=[
        ("netprobe echo serve", "a server on 127.0.0.1:65432, TCP and UDP"),
        ("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?"),
    ],
)
def echo() -> None:
    """Serve echoes, and ask others for theirs: does it echo, how fast, who do I look like from there."""


for _command in (serve, send, ping):
    echo.add_command(_command)

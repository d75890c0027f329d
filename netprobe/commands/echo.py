"""``netprobe echo``: the group of server and clients."""

from __future__ import annotations

import importlib
import importlib.util

import click

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


echo.add_command(serve)
for _name in ("send", "ping", "load"):  # TODO: plain imports when all are in
    if importlib.util.find_spec(f"netprobe.commands.echo_{_name}"):
        echo.add_command(getattr(importlib.import_module(f"netprobe.commands.echo_{_name}"), _name))

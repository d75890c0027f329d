"""``netprobe echo``: the server and its clients as one group of commands."""

from __future__ import annotations

import click

from netprobe.commands.command import Group, early_output_options

__all__ = ["echo"]


@click.group(
    cls=Group,
    short_help="an echo server, and clients that time and verify it",
    lazy={name: f"netprobe.commands.echo.{name}.options" for name in ("serve", "send", "ping", "load")},
    examples=[
        ("netprobe echo serve", "a server on 127.0.0.1:65432, TCP and UDP"),
        ("netprobe echo ping 127.0.0.1:65432", "does it echo, and how fast?"),
        ('netprobe echo send "Hello, world"', "what comes back?"),
        ("netprobe echo load 127.0.0.1:65432", "how much does it echo?"),
    ],
)
@early_output_options
def echo(**_: object) -> None:
    """Run an echo server, or test one: does it echo, how fast, and who do I look like from there?"""

"""``netprobe help COMMAND``: the same as ``netprobe COMMAND --help``."""

from __future__ import annotations

import click

from netprobe.commands.command import command
from netprobe.errors import Exit, InvalidInputError

__all__ = ["help"]


def _commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The commands below those that are typed already, for the Tab key."""
    context = ctx.find_root()
    for name in ctx.params.get("path") or ():
        sub = context.command.get_command(context, name) if isinstance(context.command, click.Group) else None
        if sub is None:
            return []
        context = click.Context(sub, info_name=name, parent=context)
    group = context.command
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    return [name for name in names if name.startswith(incomplete)]


@command(
    short_help="all that there is to say about a command",
    examples=[
        ("netprobe help bindtest", "all that there is to say about bindtest"),
        ("netprobe help echo ping", "and about a command of a group"),
    ],
    answers=("all good", ""),
)
@click.argument("path", metavar="[COMMAND...]", nargs=-1, shell_complete=_commands)
@click.pass_context
def help(ctx: click.Context, path: tuple[str, ...]) -> Exit:
    """Show all that there is to say about a command: the same as its --help."""
    context = ctx.find_root()
    for name in path:
        group = context.command
        if not isinstance(group, click.Group):
            raise InvalidInputError(" ".join(path), f"{context.command_path} has no commands")
        _, found, _ = group.resolve_command(context, [name])
        context = click.Context(found or group, info_name=name, parent=context)
    click.echo(context.command.get_help(context))
    return Exit.OK

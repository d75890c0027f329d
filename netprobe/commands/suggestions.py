"""What a mistyped command or a misplaced option may have meant, looked for in all commands.

People know that there is a ``ping``, and not always that it is ``echo ping``; they put an option where another program
has it. So the nearest name of any level is suggested, with its path, ready to be typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

import click

__all__ = ["meant_command", "meant_option"]

_LIKE: Final = 0.6  # SequenceMatcher.ratio(): of two names of five letters that share three
_LIKE_HERE: Final = 0.5  # among the commands of the group that was named


def meant_command(group: click.Group, ctx: click.Context, name: str) -> str:
    """A hint for the word ``name``, which ``group`` does not know."""
    word = name.lower()
    here = ctx.command_path
    likeness = {
        path: (
            SequenceMatcher(None, word, path.rpartition(" ")[2]).ratio()
            + (_LIKE - _LIKE_HERE) * (path.rpartition(" ")[0] == here)
        )
        for path, _ in _commands(ctx.find_root())
    }
    best = max(likeness, key=likeness.__getitem__)
    if likeness[best] >= _LIKE:
        return f"did you mean '{best}'?"
    if ctx.parent is None and any(letter.isdigit() for letter in name) and any(mark in ".:" for mark in name):
        return f"to ask what it is: netprobe classify {name}"
    return f"the commands are {', '.join(group.list_commands(ctx))}; see '{here} -h'"


def meant_option(name: str, ctx: click.Context) -> str | None:
    """A hint for an option that the command of ``ctx`` does not have, but another one below or beside it has."""
    having = [path for path, command in _commands(ctx.find_root()) if name in _options(command)]
    below = [path for path in having if path.startswith(f"{ctx.command_path} ")]
    if below:
        return f"it goes behind the command: {below[0]} {name}"
    return f"'{having[0]}' has it" if having else None


def _commands(root: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command below ``root`` with its path, a group before what is in it."""
    group = root.command
    if isinstance(group, click.Group):
        for name in group.list_commands(root):
            command = group.get_command(root, name)
            if command is not None:
                context = click.Context(command, info_name=name, parent=root)
                yield context.command_path, command
                yield from _commands(context)


def _options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}

"""``netprobe completion``: the script that makes a shell complete netprobe's commands and options."""

from __future__ import annotations

import click

from netprobe.commands.command import command
from netprobe.errors import Exit, InvalidInputError

__all__ = ["completion"]


@command(
    short_help="shell completion for bash, zsh and fish",
    examples=[
        ('eval "$(netprobe completion bash)"', "completion in the current bash"),
        ("netprobe completion fish > ~/.config/fish/completions/netprobe.fish", "completion in every new fish"),
    ],
    answers=("all good", ""),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> Exit:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    from netprobe.commands.completion.shells import register

    register()
    kind = get_completion_class(shell)
    if kind is None:
        raise InvalidInputError(shell, "no completion for this shell")
    root = click.get_current_context().find_root().command
    # ShellComplete.source() would run bash first, to learn its version; the template itself needs no process.
    script = kind(root, {}, "netprobe", "_NETPROBE_COMPLETE")
    click.echo(script.source_template % script.source_vars())
    return Exit.OK

"""An option as netprobe's commands have it: with its place in the help, and the names that it had before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

__all__ = ["OUTPUT_GROUP", "OUTPUT_NAMES", "Example", "Option"]

Example = tuple[str, str]  # a command line, and the question it answers

OUTPUT_GROUP = "Output"  # the heading of the options that every command has
OUTPUT_NAMES = ("format", "json", "quiet", "verbose", "color", "debug")


class Option(click.Option):
    """An option with what the help says of it, and with the spellings that it had before.

    ``group`` is the heading it stands under, ``brief`` its line there (without it: the whole text), ``default_text``
    its default in words, where the value does not speak for itself. ``aliases`` are accepted, on the command line and
    as variables, and are shown nowhere: they are for scripts that were written when the option was called that.
    """

    def __init__(
        self,
        *args: Any,
        group: str | None = None,
        brief: str | None = None,
        default_text: str | None = None,
        aliases: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.brief = brief
        self.default_text = default_text
        self.aliases = tuple(aliases)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        shown = self.opts
        self.opts = [*shown, *self.aliases]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown

    def variables(self, ctx: click.Context) -> list[str]:
        """Its environment variables, the one that is told first: the command's path and the long name.

        click would take the name of the callback's parameter, which is not what the user sees.
        """
        if not self.allow_from_autoenv or not ctx.auto_envvar_prefix or not self.expose_value:
            return []
        names = [name for name in (*self.opts, *self.aliases) if name.startswith("--")]
        return [f"{ctx.auto_envvar_prefix}_{name[2:].replace('-', '_').upper()}" for name in names]

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return next((os.environ[name] for name in self.variables(ctx) if os.environ.get(name)), None)

"""The command line of a run, to be told and to be typed again: what was chosen, however it was given.

It is made of the options that count and not of what was typed: an option that came from the environment is part of
what ran, and a shell without that variable needs it spelt out. How the answer was shown (``--json``, ``--color``) is
not part of the question. A secret is never in it: reports are read by others, and so are arguments (ps(1)).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import click
from click.core import ParameterSource

__all__ = ["CommandLine"]

_GIVEN: Final = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
_SECRETS: Final = frozenset({"nonce"})
_SHOWING: Final = frozenset({"format", "json", "quiet", "verbose", "color", "debug"})


@dataclass(frozen=True, slots=True)
class CommandLine:
    """``command`` as it is typed, and what was given to it: each a parameter's name and its words."""

    command: str
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def current(cls) -> CommandLine:
        """That of the command which is running."""
        ctx = click.get_current_context()
        given: list[tuple[str, tuple[str, ...]]] = []
        for parameter in ctx.command.params:
            name = parameter.name or ""
            if name in _SECRETS or name in _SHOWING or ctx.get_parameter_source(name) not in _GIVEN:
                continue
            value = ctx.params.get(name)
            for each in value if isinstance(value, tuple) else (value,):
                given.append((name, _words(parameter, each)))
        return cls(ctx.command_path, tuple(given))

    def line(self, *more: str, without: Collection[str] = ()) -> str:
        """One line for a POSIX shell: without the parameters of these names, and with ``more`` words at its end."""
        words = [word for name, words in self.given if name not in without for word in words]
        return f"{self.command} {shlex.join([*words, *more])}".rstrip()

    def values(self, name: str) -> tuple[str, ...]:
        """The values that were given to the parameter ``name``."""
        return tuple(words[-1] for each, words in self.given if each == name)


def _words(parameter: click.Parameter, value: object) -> tuple[str, ...]:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(parameter, click.Option):
        return (text,)
    if parameter.is_flag:
        return ((parameter.opts if value else parameter.secondary_opts)[-1],)
    return (parameter.opts[-1], text)

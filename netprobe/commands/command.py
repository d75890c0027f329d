"""What all commands share: the output options, environment variables, help that starts with examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netprobe.errors import InvalidInputError

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = ["DEBUG", "Command", "FiniteRange", "Group", "command", "detail_netifaces", "option", "output_options"]

DEBUG = "netprobe.debug"  # the key of click's context under which the error boundary finds --debug
F = TypeVar("F", bound=Callable[..., Any])
Example = tuple[str, str]  # a command line, and the question it answers


class _WithExamples(click.Command):
    """Help that starts with an example; usage and options follow."""

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
                for line, question in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                    formatter.indent()
                    formatter.indent()
                    formatter.write_text(question)
                    formatter.dedent()
                    formatter.dedent()
            formatter.write_paragraph()
        super().format_help(ctx, formatter)


class Command(_WithExamples):
    """A netprobe command."""


class Group(_WithExamples, click.Group):
    """A group that suggests what a mistyped command may have meant, and loads only the command that is run.

    ``lazy`` names each command's module. Loading them all would cost 4 ms of the 10 that a piped ``classify`` may take
    on top of the import of click.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy and cmd_name not in self.commands:
            loaded = getattr(import_module(self._lazy[cmd_name]), cmd_name)
            self.add_command(loaded, cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise InvalidInputError(args[0], "no such command", self._meant(ctx, args[0]))
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name.lower(), self.list_commands(ctx), n=1, cutoff=0.5)
        if close:
            return f"did you mean '{ctx.command_path} {close[0]}'?"
        if ctx.parent is None and any(c.isdigit() for c in name) and any(c in ".:" for c in name):
            return f"to ask what it is: netprobe classify {name}"
        return f"the commands are {', '.join(self.list_commands(ctx))}; see '{ctx.command_path} --help'"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(dict.fromkeys([*self._lazy, *self.commands]))  # in declared order


class FiniteRange(click.FloatRange):
    """A finite number in a range. click's own FloatRange lets infinity pass where it is open, and NaN everywhere."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return float(super().convert(number, param, ctx))


def command(*args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Command]:
    """click.command whose help starts with ``examples``."""
    make: Callable[[Callable[..., Any]], Command] = click.command(*args, **{"cls": Command, **kwargs})
    return make


def option(*args: Any, **kwargs: Any) -> Callable[[F], F]:
    """click.option with its environment variable (``NETPROBE_<COMMAND>_<OPTION>``) shown in the help."""
    kwargs.setdefault("show_envvar", True)
    return click.option(*args, **kwargs)


def output_options(function: F) -> F:
    """The options of every command, which receives them as one :class:`Output`, named ``output``."""

    @option(
        "--format",
        type=click.Choice(["table", "plain", "json", "ndjson", "csv"]),
        help="Output format.  [default: table on a terminal, plain in a pipe]",
    )
    @option("--json", is_flag=True, help="Same as --format json.")
    @option("-q", "--quiet", is_flag=True, help="Print only results and errors.")
    @option("-v", "--verbose", count=True, help="More detail on stderr; twice for even more.")
    @option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour; auto obeys NO_COLOR and TERM=dumb.",
    )
    @option("--debug", is_flag=True, help="Show tracebacks.")
    @click.pass_context
    @wraps(function)
    def with_output(
        ctx: click.Context,
        /,
        *,
        format: str | None,
        json: bool,
        quiet: bool,
        verbose: int,
        color: str,
        debug: bool,
        **own: Any,
    ) -> Any:
        from netprobe.render.output import Output
        from netprobe.render.terminal import Terminal

        ctx.meta[DEBUG] = debug
        terminal = Terminal.detect(color)
        form = _format(ctx, format, json) or ("table" if terminal.stdout_tty else "plain")
        return function(output=Output(terminal, form, quiet, verbose, debug), **own)

    return with_output  # type: ignore[return-value]


def _format(ctx: click.Context, form: str | None, json: bool) -> str | None:
    """``--json`` and ``--format`` as one choice: a flag wins over the environment, contradictory flags are refused."""
    from click.core import ParameterSource

    if not json or form == "json":
        return form
    given = ctx.get_parameter_source("format") is ParameterSource.COMMANDLINE
    if form is None or not given:
        return "json"
    if ctx.get_parameter_source("json") is not ParameterSource.COMMANDLINE:
        return form
    raise InvalidInputError(f"--json and --format {form}", "two formats at once", "leave one of them out")


def detail_netifaces(output: Output) -> None:
    """With -v, once netlink has answered: that what answers where it does not cannot be loaded."""
    if output.verbose:
        from netprobe.interfaces import netifaces_fault

        fault = netifaces_fault()
        if fault is not None:
            output.detail(f"netifaces: {fault}; not needed, netlink answers")

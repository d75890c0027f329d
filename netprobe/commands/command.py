"""What all commands share: the output options, environment variables, help that starts with examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netprobe.commands.option import OUTPUT_GROUP, OUTPUT_NAMES, Example, Option
from netprobe.errors import InvalidInputError

if TYPE_CHECKING:
    from netprobe.render.output import Output

__all__ = [
    "DEBUG",
    "OUTPUT_GROUP",
    "OUTPUT_NAMES",
    "Command",
    "Example",
    "FiniteRange",
    "Group",
    "Option",
    "command",
    "completes",
    "detail_netifaces",
    "early_output_options",
    "option",
    "output_options",
]

DEBUG = "netprobe.debug"  # the key of click's context under which the error boundary finds --debug
F = TypeVar("F", bound=Callable[..., Any])


class _Helpful(click.Command):
    """Two forms of help, ``-h`` and ``--help``, and examples in both (:mod:`netprobe.commands.help`).

    ``output_title`` is the heading of the output options, ``answers`` what exit status 0 and 1 mean here.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[Example] = (),
        output_title: str = OUTPUT_GROUP,
        answers: tuple[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.output_title = output_title
        self.answers = answers

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        brief = _help_option("-h", "Help on one screen.", "this; --help for all of it", _brief)
        return [*super().get_params(ctx), brief]

    def get_help_option(self, ctx: click.Context) -> click.Option:
        return _help_option("--help", "All of the help.", "all of it", _full)

    def get_help(self, ctx: click.Context) -> str:
        return _full(self, ctx)


def _brief(command: click.Command, ctx: click.Context) -> str:
    from netprobe.commands.help import brief_help

    return brief_help(command, ctx)


def _full(command: click.Command, ctx: click.Context) -> str:
    from netprobe.commands.help import full_help

    return full_help(command, ctx)


def _help_option(name: str, text: str, brief: str, write: Callable[[click.Command, click.Context], str]) -> Option:
    """An option that prints one of the forms and ends."""

    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(write(ctx.command, ctx), color=ctx.color)
            ctx.exit()

    return Option(
        [name, "help_" + name.strip("-")],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        allow_from_autoenv=False,
        callback=show,
        help=text,
        brief=brief,
        group=OUTPUT_GROUP,
    )


class Command(_Helpful):
    """A netprobe command."""


class Group(_Helpful, click.Group):
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
        typed = args and not args[0].startswith("-") and not ctx.resilient_parsing  # not on Tab
        if typed and self.get_command(ctx, args[0]) is None:
            raise InvalidInputError(args[0], "no such command", self._meant(ctx, args[0]))
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str:
        from netprobe.commands.suggestions import meant_command

        return meant_command(self, ctx, name)

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
    """click.option as an :class:`Option`; its environment variable is ``NETPROBE_<COMMAND>_<OPTION>``."""
    return click.option(*args, **{"cls": Option, **kwargs})


def completes(kind: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """What ``shell_complete`` of a parameter takes: the function ``kind`` of completion.values, loaded on Tab only."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        return getattr(import_module("netprobe.commands.completion.values"), kind)(ctx, param, incomplete)

    return complete


def _output_declarations(**shared: Any) -> list[Callable[[F], F]]:
    """The output options, as decorators in the order of the help."""
    return [
        option(
            "--format",
            type=click.Choice(["table", "plain", "json", "ndjson", "csv"]),
            help="Output format: table on a terminal and plain in a pipe, unless given.",
            metavar="FORM",
            brief="table, plain, json, ndjson or csv",
            **shared,
        ),
        option("-j", "--json", is_flag=True, help="Same as --format json.", brief="one JSON document", **shared),
        option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Print only results and errors.",
            brief="results and errors only",
            **shared,
        ),
        option(
            "-v",
            "--verbose",
            count=True,
            help="More detail on stderr; twice for even more.",
            brief="more detail on stderr; -vv still more",
            **shared,
        ),
        option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            metavar="WHEN",
            help="Colour: auto, always or never; auto obeys NO_COLOR and TERM=dumb.",
            brief="auto, always, never",
            default_text="",
            **shared,
        ),
        option("--debug", is_flag=True, help="Show tracebacks.", brief="show tracebacks", **shared),
    ]


def early_output_options(function: F) -> F:
    """The output options in front of a command (``netprobe --json classify …``), for a group.

    They are only declared here. The command finds them in its context's parents; its own come first. They have no
    environment variables: a command's own have, and two for one thing would need a rule about which one wins.
    """
    wrapped = function
    for declare in reversed(_output_declarations(group=OUTPUT_GROUP, allow_from_autoenv=False)):
        wrapped = declare(wrapped)
    return wrapped


def output_options(function: F) -> F:
    """The options of every command, which receives them as one :class:`Output`, named ``output``."""

    @click.pass_context
    @wraps(function)
    def with_output(ctx: click.Context, /, **given: Any) -> Any:
        from netprobe.render.output import Output
        from netprobe.render.terminal import Terminal

        chosen = _chosen(ctx)
        own = {name: value for name, value in given.items() if name not in chosen}
        ctx.meta[DEBUG] = chosen["debug"]
        terminal = Terminal.detect(chosen["color"])
        form = _format(ctx, chosen["format"], chosen["json"]) or ("table" if terminal.stdout_tty else "plain")
        output = Output(terminal, form, chosen["quiet"], chosen["verbose"], chosen["debug"])
        return function(output=output, **own)

    wrapped: Any = with_output
    for declare in reversed(_output_declarations(group=OUTPUT_GROUP)):
        wrapped = declare(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _chosen(ctx: click.Context) -> dict[str, Any]:
    """The output options as they count: the last one on the command line, then the environment, then the default.

    ``-v`` adds up, wherever it stands.
    """
    chosen = {name: ctx.params[name] for name in OUTPUT_NAMES}
    parent = ctx.parent
    while parent is not None:
        for name in OUTPUT_NAMES:
            if not _is_typed(parent, name):
                continue
            if name == "verbose":
                chosen[name] += parent.params[name]
            elif not _is_typed(ctx, name):
                chosen[name] = parent.params[name]
        parent = parent.parent
    return chosen


def _is_typed(ctx: click.Context, name: str) -> bool:
    from click.core import ParameterSource

    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _format(ctx: click.Context, form: str | None, json: bool) -> str | None:
    """``--json`` and ``--format`` as one choice: a flag wins over the environment, contradictory flags are refused."""
    if not json or form == "json":
        return form
    typed = {name: _is_typed_anywhere(ctx, name) for name in ("format", "json")}
    if form is None or not typed["format"]:
        return "json"
    if not typed["json"]:
        return form
    raise InvalidInputError(f"--json and --format {form}", "two formats at once", "leave one of them out")


def _is_typed_anywhere(ctx: click.Context, name: str) -> bool:
    context: click.Context | None = ctx
    while context is not None:
        if _is_typed(context, name):
            return True
        context = context.parent
    return False


def detail_netifaces(output: Output) -> None:
    """With -v, once netlink has answered: that what answers where it does not cannot be loaded."""
    if output.verbose:
        from netprobe.interfaces import netifaces_fault

        fault = netifaces_fault()
        if fault is not None:
            output.detail(f"netifaces: {fault}; not needed, netlink answers")

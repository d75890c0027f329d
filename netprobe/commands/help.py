"""How a command explains itself: ``-h`` is one screen, ``--help`` is everything.

click's own help has one form: a list of options in the order of their declaration, each with its environment variable,
default and range behind it, which is 104 lines for bindtest. Nobody reads that to find out how to begin. So there are
two forms here, made from the same declarations:

* brief (``-h``): usage, what it does, two or three command lines to paste, then the options in named groups, a line
  each and two in a line where they are short. At most 45 lines at 80 columns; a test counts. Environment variables are
  one sentence, since they all follow from one rule.
* full (``--help``): the same order with the whole text of every option, its range, default and environment variable.

Nothing is cut with an ellipsis at any width: what does not fit is wrapped between words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import click

from netprobe.commands.command import OUTPUT_GROUP, Example

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["brief_help", "full_help"]

_OTHER_GROUP: Final = "Options"
_INDENT: Final = "  "
_MARGIN: Final = 21  # where the text of an option begins
_PAIR: Final = 46  # where the second option of a line begins
_WIDEST: Final = 80  # help does not get wider with the terminal: long lines are hard to read
_EXIT_STATUS: Final = "Exit status: 0 all good, 1 the answer is no, 2 wrong usage, 3 could not run."


def brief_help(command: click.Command, context: click.Context) -> str:
    """One screen."""
    width = _width(context)
    lines = list(_head(command, context, width, examples=3))
    for title, options in _groups(command, context).items():
        lines += ["", f"{title}:"]
        lines += _packed([_brief_entry(option) for option in options], width)
    lines += ["", *_wrapped(f"{_variables(context)} {context.command_path} --help has all of it.", width, "")]
    lines += _wrapped(_EXIT_STATUS, width, "")
    return "\n".join(lines)


def full_help(command: click.Command, context: click.Context) -> str:
    """Everything that there is to say."""
    width = _width(context)
    lines = list(_head(command, context, width, examples=None))
    for title, options in _groups(command, context).items():
        lines += ["", f"{title}:"]
        for option in options:
            lines += _full_entry(option, context, width)
    lines += ["", *_wrapped(_variables(context), width, ""), *_wrapped(_EXIT_STATUS, width, "")]
    page = context.command_path.replace(" ", "-")
    lines += _wrapped(f"More: man {page}", width, "")
    return "\n".join(lines)


def _width(context: click.Context) -> int:
    """Of the terminal, but not beyond 80."""
    from netprobe.render.terminal import Terminal

    return min(context.terminal_width or Terminal.detect().width, _WIDEST)


def _head(command: click.Command, context: click.Context, width: int, *, examples: int | None) -> Iterator[str]:
    """Usage, what it does, examples."""
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from _wrapped(f"Usage: {context.command_path} {pieces}", width, _INDENT)
    yield ""
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if examples is None or number == 0:
            yield from _wrapped(" ".join(paragraph.split()), width, "")
            if examples is None:
                yield ""
    shown: Sequence[Example] = getattr(command, "examples", ())[:examples]
    if shown and examples is not None:
        yield ""
    yield from _examples(shown, width)
    if isinstance(command, click.Group):
        yield from ("", "Commands:")
        commands = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        margin = max(len(name) for name, _ in commands) + 4
        for name, sub in commands:
            summary = "" if sub is None else _summary(sub)
            yield from _entry(_INDENT + name, summary, width, margin)


def _summary(command: click.Command) -> str:
    """The first sentence of its help, whole."""
    text = command.short_help or " ".join((command.help or "").split("\n\n")[0].split())
    return text.rstrip(".")


def _examples(examples: Sequence[Example], width: int) -> Iterator[str]:
    """Command lines, whole, with the question that each answers beside it, or below where there is no room."""
    if not examples:
        return
    margin = max(len(line) for line, _ in examples) + len(_INDENT) + 2
    if all(margin + len(question) <= width for _, question in examples):
        for line, question in examples:
            yield f"{_INDENT}{line}".ljust(margin) + question
        return
    for line, question in examples:
        yield f"{_INDENT}{line}"
        yield from (_INDENT * 2 + part for part in _wrapped(question, width - 2 * len(_INDENT), ""))


def _groups(command: click.Command, context: click.Context) -> Mapping[str, list[click.Option]]:
    """The options by the groups that they were declared in; the output options come last."""
    found: dict[str, list[click.Option]] = {}
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            found.setdefault(getattr(parameter, "group", None) or _OTHER_GROUP, []).append(parameter)
    if OUTPUT_GROUP in found:
        found[OUTPUT_GROUP] = found.pop(OUTPUT_GROUP)
    return found


def _names(option: click.Option) -> str:
    """``-c, --count N``; a switch with two positions as ``--v6only, --dual-stack``."""
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: name.startswith("--"))
    text = ", ".join(names)
    return text if option.is_flag or option.count else f"{text} {_metavar(option)}"


def _metavar(option: click.Option) -> str:
    """The word for its value."""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "WORD"
    return "N" if isinstance(option.type, click.types.IntParamType) else option.type.name.upper()


def _brief_entry(option: click.Option) -> tuple[str, str]:
    """The names, and the text in its short form with the default in brackets."""
    text = (getattr(option, "brief", None) or option.help or "").rstrip(".")
    default = _default(option)
    return _names(option), f"{text}  [{default}]" if default else text


def _default(option: click.Option) -> str:
    """What it is when it is not given; nothing where that goes without saying."""
    shown = getattr(option, "default_text", None)
    if shown is not None:
        return str(shown)
    value = option.default
    if option.is_flag or option.multiple or option.count or not isinstance(value, int | float | str):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _packed(entries: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """A line each; two in a line where both are short enough."""
    position = 0
    while position < len(entries):
        names, text = entries[position]
        position += 1
        line = _one_line(names, text)
        if width >= _WIDEST and len(line) <= _PAIR - 2 and position < len(entries):
            second = "  ".join(entries[position])
            if _PAIR + len(second) <= width:
                position += 1
                yield line.ljust(_PAIR) + second
                continue
        yield from _entry(_INDENT + names, text, width, _MARGIN)


def _one_line(names: str, text: str) -> str:
    return f"{_INDENT}{names}  ".ljust(_MARGIN) + text


def _entry(head: str, text: str, width: int, margin: int) -> Iterator[str]:
    """``head`` and, from ``margin`` on, ``text``; below it where the screen is narrow."""
    if width < 2 * margin:
        yield head
        yield from (_INDENT * 2 + line for line in _wrapped(text, width - 2 * len(_INDENT), ""))
        return
    lines = _wrapped(text, width - margin, "")
    if len(head) + 2 > margin:
        if lines and len(head) + 2 + len(text) <= width:
            yield f"{head}  {text}"
            return
        yield head
    elif lines:
        yield head.ljust(margin) + lines.pop(0)
    else:
        yield head
    yield from (" " * margin + line for line in lines)


def _full_entry(option: click.Option, context: click.Context, width: int) -> Iterator[str]:
    """The whole text, then range, default and environment variable."""
    notes = []
    if isinstance(option.type, click.IntRange | click.FloatRange):
        low, high = (
            None if edge is None else f"{edge:g}" if edge < 1e6 else f"{edge:,.0f}"
            for edge in (option.type.min, option.type.max)
        )
        if low is not None and high is not None:
            notes.append(f"{low} to {high}")
        elif low is not None and low != "0":
            notes.append(f"from {low}")
    elif isinstance(option.type, click.Choice):
        notes.append("one of " + ", ".join(str(choice) for choice in option.type.choices))
    if default := _default(option):
        notes.append(f"default {default}")
    if variable := _variable(option, context):
        notes.append(variable)
    text = option.help or ""
    yield f"{_INDENT}{_names(option)}"
    yield from (_INDENT * 3 + line for line in _wrapped(text, width - 3 * len(_INDENT), ""))
    if notes:
        yield from (_INDENT * 3 + line for line in _wrapped(f"[{'; '.join(notes)}]", width - 3 * len(_INDENT), ""))


def _variable(option: click.Option, context: click.Context) -> str | None:
    """The environment variable that stands for it."""
    if option.envvar:
        return option.envvar if isinstance(option.envvar, str) else option.envvar[0]
    if not option.allow_from_autoenv or not context.auto_envvar_prefix or option.name is None:
        return None
    return f"{context.auto_envvar_prefix}_{option.name.upper()}"


def _variables(context: click.Context) -> str:
    """One sentence for all of them."""
    prefix = context.command_path.upper().replace(" ", "_")
    return f"Each long option can be a variable: {prefix}_ and its name in capitals."


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Lines between words; a word that is longer than a line stays whole."""
    return wrap(text, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

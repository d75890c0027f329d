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

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import click

from netprobe.commands.option import OUTPUT_GROUP, OUTPUT_NAMES, Example, Option

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["brief_help", "full_help", "option_groups"]

_OTHER_GROUP: Final = "Options"
_BEFORE_OR_AFTER: Final = "Options, before or after the command"
_INDENT: Final = "  "
_LONGEST_NAMES: Final = 20  # what is longer has its text on the next line, and does not widen the column of the others
_PAIR: Final = 48  # where the second option of a line begins
_WIDEST: Final = 80  # help does not get wider with the terminal: long lines are hard to read
_FORMATS: Final = "--format table|plain|json|ndjson|csv"
_COMMON: Final = "-q -v --color --debug"
_ANSWERS: Final = ("all good", "the answer is no")


def brief_help(command: click.Command, context: click.Context) -> str:
    """One screen."""
    width = _width(context)
    lines = list(_head(command, context, width, examples=4 if isinstance(command, click.Group) else 3))
    titled = {title: _entries(options) for title, options in _specific(command, context).items()}
    if isinstance(command, click.Group):
        titled[_BEFORE_OR_AFTER] = list(_group_entries(titled.pop(_OTHER_GROUP, []), context))
    elif _has_output(command):
        title = getattr(command, "output_title", OUTPUT_GROUP)
        titled[title] = [*titled.pop(title, []), ("-j, --json", _FORMATS)]
    margin = _margin(entry for entries in titled.values() for entry in entries)
    for title, entries in titled.items():
        lines += ["", *_wrapped(f"{title}:", width, "")]
        lines += _packed(entries, width, margin, pairs=title != _BEFORE_OR_AFTER)
    lines.append("")
    for sentence in (*_also(command, context), _variables(command, context), _statuses(command)):
        lines += _wrapped(sentence, width, "")
    return "\n".join(lines)


def full_help(command: click.Command, context: click.Context) -> str:
    """Everything that there is to say."""
    width = _width(context)
    lines = list(_head(command, context, width, examples=None))
    for title, options in option_groups(command, context).items():
        lines += ["", *_wrapped(f"{title}:", width, "")]
        for option in options:
            lines += _full_entry(option, context, width)
    page = context.command_path.replace(" ", "-")
    lines.append("")
    for sentence in (_variables(command, context), _statuses(command), f"More: man {page}"):
        lines += _wrapped(sentence, width, "")
    return "\n".join(lines)


def option_groups(command: click.Command, context: click.Context) -> Mapping[str, list[click.Option]]:
    """The options by the groups that they were declared in; what all commands have comes last."""
    found: dict[str, list[click.Option]] = {}
    last = _BEFORE_OR_AFTER if isinstance(command, click.Group) else getattr(command, "output_title", OUTPUT_GROUP)
    for option in _options(command, context):
        title = getattr(option, "group", None) or _OTHER_GROUP
        found.setdefault(last if title == OUTPUT_GROUP else title, []).append(option)
    found[last] = found.pop(last, [])
    return {title: options for title, options in found.items() if options}


def _specific(command: click.Command, context: click.Context) -> Mapping[str, list[click.Option]]:
    """The options that not every command has."""
    groups = {
        title: [option for option in options if not _is_common(option)]
        for title, options in option_groups(command, context).items()
    }
    return {title: options for title, options in groups.items() if options}


def _options(command: click.Command, context: click.Context) -> Iterator[click.Option]:
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield parameter


def _is_common(option: click.Option) -> bool:
    return option.name in OUTPUT_NAMES or option.name in ("help_h", "help_help")


def _has_output(command: click.Command) -> bool:
    return any(parameter.name == "format" for parameter in command.params)


def _width(context: click.Context) -> int:
    """Of the terminal, but not beyond 80."""
    from netprobe.render.terminal import Terminal

    return min(context.terminal_width or Terminal.detect().width, _WIDEST)


def _head(command: click.Command, context: click.Context, width: int, *, examples: int | None) -> Iterator[str]:
    """Usage, what it does, examples, and the commands of a group."""
    yield from _wrapped(f"Usage: {context.command_path} {_usage(command, context)}", width, _INDENT)
    for paragraph in (command.help or "").split("\n\n")[: None if examples is None else 1]:
        yield from ("", *_wrapped(" ".join(paragraph.split()), width, ""))
    shown: Sequence[Example] = getattr(command, "examples", ())[:examples]
    if shown:
        yield from ("", *_examples(shown, width))
    if isinstance(command, click.Group):
        yield from ("", "Commands:")
        commands = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        margin = max(len(name) for name, _ in commands) + 4
        for name, sub in commands:
            yield from _entry(_INDENT + name, "" if sub is None else _summary(sub), width, margin)


def _usage(command: click.Command, context: click.Context) -> str:
    """What is typed behind the command, in the order in which people type it: what it is about, then how."""
    if isinstance(command, click.Group):
        return "COMMAND [OPTIONS]"
    arguments = [
        parameter.make_metavar(context) for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    return " ".join([*arguments, "[OPTIONS]"])


def _summary(command: click.Command) -> str:
    """The first sentence of its help, whole."""
    return command.short_help or " ".join((command.help or "").split("\n\n")[0].split()).rstrip(".")


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


def _names(option: click.Option) -> str:
    """``-c, --count N``; a switch with two positions as ``--v6only, --dual-stack``."""
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: name.startswith("--"))
    return f"{', '.join(names)} {_metavar_of(option)}".rstrip()


def _metavar_of(option: click.Option) -> str:
    return "" if option.is_flag or option.count else _metavar(option)


def _metavar(option: click.Option) -> str:
    """The word for its value."""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "WORD"
    return "N" if isinstance(option.type, click.types.IntParamType) else option.type.name.upper()


def _entries(options: Sequence[click.Option]) -> list[tuple[str, str]]:
    """The names of each option, and its text in the short form with the default in brackets.

    Neighbours of which the same is said, ``--tcp`` and ``--udp``, are one entry.
    """
    found = []
    for (text, _), alike in groupby(options, lambda option: (_brief(option), _metavar_of(option))):
        same = list(alike)
        names = _names(same[0])
        if len(same) > 1:
            shortest = [min(option.opts, key=len) for option in same]
            names = f"{', '.join(shortest)} {_metavar_of(same[0])}".rstrip()
        found.append((names, text))
    return found


def _brief(option: click.Option) -> str:
    brief = getattr(option, "brief", None)
    text = (option.help or "").rstrip(".") if brief is None else str(brief)
    default = _default(option)
    return f"{text}  [{default}]".lstrip() if default else text


def _group_entries(own: Sequence[tuple[str, str]], context: click.Context) -> Iterator[tuple[str, str]]:
    """What stands before or after a command; the long names in one column, whether or not there is a short one."""
    yield "-j, --json", "one JSON document (--format: table plain json ndjson csv)"
    yield "-q, --quiet", "results and errors only"
    yield "-v, --verbose", "more detail on stderr; -vv still more"
    yield "    --color WHEN", "auto, always, never"
    yield "    --debug", "show tracebacks"
    yield from own
    yield "-h, --help", f"this, all of it; {context.command_path} COMMAND -h for a command"


def _also(command: click.Command, context: click.Context) -> Iterator[str]:
    """Where the rest is."""
    if not isinstance(command, click.Group):
        also = f"Also: {_COMMON} (netprobe -h). " if _has_output(command) else ""
        yield f"{also}All of it: {context.command_path} --help"


def _default(option: click.Option) -> str:
    """What it is when it is not given; nothing where that goes without saying."""
    shown = getattr(option, "default_text", None)
    if shown is not None:
        return str(shown)
    value = option.default
    if option.is_flag or option.multiple or option.count or not isinstance(value, int | float | str):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _margin(entries: Iterable[tuple[str, str]]) -> int:
    """Where the texts begin: beside the longest names that are not too long."""
    lengths = [len(names) for names, _ in entries if len(names) <= _LONGEST_NAMES]
    return len(_INDENT) + max(lengths, default=0) + len(_INDENT)


def _packed(entries: Sequence[tuple[str, str]], width: int, margin: int, *, pairs: bool) -> Iterator[str]:
    """A line each; with ``pairs``, two in a line where both are short enough."""
    position = 0
    while position < len(entries):
        names, text = entries[position]
        position += 1
        line = f"{_INDENT}{names}  ".ljust(margin) + text
        if pairs and width >= _WIDEST and len(line) <= _PAIR - 2 and position < len(entries):
            second = "  ".join(entries[position])
            if _PAIR + len(second) <= width:
                position += 1
                yield line.ljust(_PAIR) + second
                continue
        yield from _entry(_INDENT + names, text, width, margin)


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
    names = option.variables(context) if isinstance(option, Option) else []
    return names[0] if names else None


def _variables(command: click.Command, context: click.Context) -> str:
    """One sentence for all of them, with one as the example: --timeout where there is one."""
    if isinstance(command, click.Group):
        path = context.command_path.upper().replace(" ", "_")
        example = "BINDTEST_TIMEOUT" if context.parent is None else "PING_TIMEOUT"
        return f"Each option can be a variable: {path}_{example}=5 is --timeout 5."
    takers = [option for option in _options(command, context) if _metavar_of(option) and _variable(option, context)]
    for option in sorted(takers, key=lambda option: option.name != "timeout"):
        value = "5" if option.name == "timeout" else _metavar(option)
        name = max(option.opts, key=len)
        return f"Each option can be a variable: {_variable(option, context)}={value} is {name} {value}."
    return ""


def _statuses(command: click.Command) -> str:
    """What the exit status says, in the words of this command."""
    good, no = getattr(command, "answers", None) or _ANSWERS
    answers = f"0 {good}, 1 {no}" if no else f"0 {good}"
    return f"Exit status: {answers}, 2 wrong usage, 3 could not run."


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Lines between words; a word that is longer than a line stays whole."""
    return wrap(text, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

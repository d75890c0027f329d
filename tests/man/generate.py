"""Writes the OPTIONS section of each man page from the command itself: ``python -m tests.man.generate``.

The groups of options that the help shows are its subsections.
Everything between the two markers of a page is made here; the rest of the page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import click

from netprobe.address.kinds import KINDS
from netprobe.cli import netprobe
from netprobe.commands.command import Option
from netprobe.commands.help import option_groups

MAN = Path(__file__).parents[2] / "man"
BEGIN = '.\\" Options: made from the command by tests/man/generate.py, not by hand.'
END = '.\\" End of options.'


class Page(NamedTuple):
    """A command and the context that it has when it is run."""

    path: tuple[str, ...]
    command: click.Command
    context: click.Context


def pages() -> dict[Path, Page]:
    """Each man page with the command that it is about."""
    context = click.Context(netprobe, info_name="netprobe", **netprobe.context_settings)
    return {MAN / f"{'-'.join(page.path)}.1": page for page in _commands(Page(("netprobe",), netprobe, context))}


def _commands(page: Page) -> Iterator[Page]:
    yield page
    if isinstance(page.command, click.Group):
        for name in page.command.list_commands(page.context):
            sub = page.command.get_command(page.context, name)
            assert sub is not None
            yield from _commands(Page((*page.path, name), sub, click.Context(sub, info_name=name, parent=page.context)))


KINDS_BEGIN = '.\\" Kinds: made from the table in the code by tests/man/generate.py.'
KINDS_END = '.\\" End of kinds.'


def with_kinds(page: str) -> str:
    """``page`` with the closed list of kinds between its markers, where it has them."""
    before, begin, rest = page.partition(KINDS_BEGIN)
    if not begin:
        return page
    rows = "".join(
        f".It Cm {kind}\n{''.join(f'{x}{chr(10)}' for x in _sentences(text))}" for kind, text in KINDS.items()
    )
    return f"{before}{begin}\n{rows}{KINDS_END}{rest.partition(KINDS_END)[2]}"


def with_options(text: str, page: Page) -> str:
    """``text`` with a fresh OPTIONS section between its markers."""
    before, begin, rest = with_kinds(text).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{'-'.join(page.path)}.1 lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{options_section(page)}{END}{after}"


def options_section(page: Page) -> str:
    """The section in mdoc(7), a subsection for each group."""
    lines = [".Sh OPTIONS"]
    for title, options in option_groups(page.command, page.context).items():
        lines += [f".Ss {_escaped(title)}", ".Bl -tag -width Ds"]
        for option in options:
            lines += _option(option, page.context)
        lines.append(".El")
    return "\n".join([*lines, ""])


def _option(option: click.Option, context: click.Context) -> Iterator[str]:
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: name.startswith("--"))
    argument = "" if option.is_flag or option.count else f" Ar {_metavar(option)}"
    yield f".It {' , '.join(f'Fl {name[1:]}{argument}' for name in names)}"
    yield from _sentences(option.help or "")
    if option.multiple:
        yield "May be given several times."
    default = option.default
    if isinstance(default, (str, int, float)) and not isinstance(default, bool) and not option.count:
        yield f"Default: {_escaped(str(default))}."
    if isinstance(option, Option) and (variables := option.variables(context)):
        yield f".Pq Ev {variables[0]}"


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return " | ".join(str(choice) for choice in option.type.choices)
    return _escaped((option.metavar or str(option.name)).lower())


def _sentences(text: str) -> Iterator[str]:
    """One sentence a line, as mdoc wants it, so that the formatter decides on the space between two."""
    for sentence in re.split(r"(?<=[.;:?])\s+(?=[A-Z\[])", " ".join(text.split())):
        for line in wrap(_escaped(sentence), 78, break_long_words=False, break_on_hyphens=False):
            yield f"\\&{line}" if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e")


def main() -> int:
    """Rewrite the pages that differ; exit status 1 when one is missing."""
    missing = 0
    for file, page in pages().items():
        if not file.exists():
            print(f"missing: {file.name}", file=sys.stderr)
            missing = 1
            continue
        old = file.read_text("utf-8")
        new = with_options(old, page)
        if new != old:
            file.write_text(new, "utf-8")
            print(f"rewritten: {file.name}")
    return missing


if __name__ == "__main__":
    sys.exit(main())

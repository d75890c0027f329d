"""Writes the OPTIONS section of each man page from the command itself: ``python -m tests.man.generate``.

Everything between the two markers of a page is made here; the rest of the page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from netprobe.address.kinds import KINDS
from netprobe.cli import netprobe

MAN = Path(__file__).parents[2] / "man"
BEGIN = '.\\" Options: made from the command by tests/man/generate.py, not by hand.'
END = '.\\" End of options.'


def pages() -> dict[Path, Mapping[str, Any]]:
    """Each man page with the description (click's ``to_info_dict``) of the command that it is about."""
    context = click.Context(netprobe, info_name="netprobe", **netprobe.context_settings)
    return {MAN / f"{'-'.join(path)}.1": info for path, info in _commands(("netprobe",), netprobe, context)}


def _commands(
    path: tuple[str, ...], command: click.Command, context: click.Context
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    info = command.to_info_dict(context)
    metavars = {parameter.name: parameter.metavar for parameter in command.params}
    yield path, {**info, "params": [{**entry, "metavar": metavars.get(entry["name"])} for entry in info["params"]]}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None
            yield from _commands((*path, name), sub, click.Context(sub, info_name=name, parent=context))


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


def with_options(page: str, path: tuple[str, ...], info: Mapping[str, Any]) -> str:
    """``page`` with a fresh OPTIONS section between its markers."""
    before, begin, rest = with_kinds(page).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{'-'.join(path)}.1 lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{options_section(path, info)}{END}{after}"


def options_section(path: tuple[str, ...], info: Mapping[str, Any]) -> str:
    """The section in mdoc(7)."""
    lines = [".Sh OPTIONS", ".Bl -tag -width Ds"]
    for parameter in info["params"]:
        if parameter["param_type_name"] == "option" and not parameter["hidden"]:
            lines += _option(path, parameter)
    return "\n".join([*lines, ".El", ""])


def _option(path: tuple[str, ...], parameter: Mapping[str, Any]) -> Iterator[str]:
    names = sorted([*parameter["opts"], *parameter["secondary_opts"]], key=lambda name: name.startswith("--"))
    argument = "" if parameter["is_flag"] or parameter["count"] else f" Ar {_metavar(parameter)}"
    yield f".It {' , '.join(f'Fl {name[1:]}{argument}' for name in names)}"
    yield from _sentences(parameter["help"] or "")
    if parameter["multiple"]:
        yield "May be given several times."
    default = parameter["default"]
    if isinstance(default, (str, int, float)) and not isinstance(default, bool) and not parameter["count"]:
        yield f"Default: {_escaped(str(default))}."
    if not {"--help", "--version"} & set(parameter["opts"]):
        named = "_".join([*path, parameter["name"].rstrip("_")]).upper().replace("-", "_")
        yield f".Pq Ev {parameter['envvar'] or named}"


def _metavar(parameter: Mapping[str, Any]) -> str:
    if parameter.get("metavar"):
        return _escaped(str(parameter["metavar"]).lower())
    choices = parameter["type"].get("choices")
    return " | ".join(choices) if choices else str(parameter["name"]).rstrip("_")


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
    for page, info in pages().items():
        if not page.exists():
            print(f"missing: {page.name}", file=sys.stderr)
            missing = 1
            continue
        old = page.read_text("utf-8")
        new = with_options(old, tuple(page.stem.split("-")), info)
        if new != old:
            page.write_text(new, "utf-8")
            print(f"rewritten: {page.name}")
    return missing


if __name__ == "__main__":
    sys.exit(main())

"""Colours are named once: no module but the palette says how something looks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rich.style import Style

import netprobe
from netprobe.render import palette

PACKAGE = Path(netprobe.__file__).parent
COLOURS = {"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}
STYLES = {"bold", "dim", "italic", "underline", "strike", *COLOURS, *(f"bright_{colour}" for colour in COLOURS)}
EXEMPT = (
    "render/palette.py",
    "render/bindtest.py",
    "render/bindtest_report.py",
)  # bindtest's own
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).as_posix() not in EXEMPT)
ROLES = [name for name in palette.__all__ if name.isupper()]


def styles_in(source: str) -> list[str]:
    """The literal texts that rich or click would take for a style, and the arguments that click.style has for one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            if words and all(word in STYLES or word in ("not", "on") for word in words) and STYLES & set(words):
                found.append(f"line {node.lineno}: {node.value!r}")
        elif isinstance(node, ast.keyword) and node.arg in ("fg", "bg", "bold", "dim", "italic", "underline"):
            found.append(f"line {node.value.lineno}: {node.arg}=")
    return found


@pytest.mark.parametrize("path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES])
def test_no_module_names_a_style_of_its_own(path: Path) -> None:
    assert styles_in(path.read_text("utf-8")) == []


def test_styles_are_found_where_they_are() -> None:
    assert styles_in("Text('x', style='bold red')") == ["line 1: 'bold red'"]
    assert styles_in("click.style('x', fg='green')") == ["line 1: fg=", "line 1: 'green'"]
    assert styles_in("Text('reverse', style=LABEL)") == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_on_light_and_on_dark(role: str) -> None:
    style = Style.parse(getattr(palette, role))
    assert style.bgcolor is None
    colour = style.color.name if style.color else ""
    assert colour not in ("cyan", "white", "black") and not colour.startswith("bright")


def test_values_are_never_dim() -> None:
    assert not Style.parse(palette.VALUE)

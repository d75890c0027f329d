"""Whether to colour, how wide, and how lines are folded to that."""

from __future__ import annotations

import pytest

from netprobe.render.terminal import Terminal, fold, wants_colour


@pytest.mark.parametrize(
    ("color", "environ", "tty", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_colour_is_decided_by_the_flag_then_the_environment_then_the_tty(
    color: str, environ: dict[str, str], tty: bool, expected: bool
) -> None:
    assert wants_colour(color, environ, tty) is expected


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("0", 80), ("-3", 80), ("wide", 80), ("٣", 80)])
def test_the_width_is_columns_when_that_is_a_positive_number(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.get_terminal_size", _no_terminal)
    assert Terminal.detect(environ={"COLUMNS": columns}).width == width


def _no_terminal(descriptor: int) -> None:
    raise OSError(25, "Inappropriate ioctl for device")


@pytest.mark.parametrize(
    ("tty", "width", "shown"),
    [
        (True, 20, "one line of 20 chars\nanother one, of more\n  than\n  0123456789-0123456789\n  of them"),
        (True, 5, "one line of 20 chars\nanother one, of more\n  than\n  0123456789-0123456789\n  of them"),
        (True, 80, None),
        (False, 20, None),
    ],
)
def test_lines_are_folded_between_words_on_a_terminal_only(tty: bool, width: int, shown: str | None) -> None:
    text = "one line of 20 chars\nanother one, of more than 0123456789-0123456789 of them"
    terminal = Terminal(stdin_tty=False, stdout_tty=tty, stderr_tty=False, width=width)
    assert fold(text, terminal) == (text if shown is None else shown)

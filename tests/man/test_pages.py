"""Every command has a page, and no page contradicts its command."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from netprobe.commands.help import option_groups
from tests.conftest import needs
from tests.man.generate import MAN, pages, with_options

PAGES = pages()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_the_options_of_a_page_are_those_of_the_command(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text == with_options(text, PAGES[file]), "run: python -m tests.man.generate"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_the_groups_of_the_help_are_subsections_of_the_options(file: Path) -> None:
    page = PAGES[file]
    options = file.read_text("utf-8").partition(".Sh OPTIONS")[2].partition(".Sh ")[0]
    assert re.findall(r"^\.Ss (.+)$", options, re.MULTILINE) == list(option_groups(page.command, page.context))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_examples_and_exit_statuses(page: Path) -> None:
    sections = re.findall(r"^\.Sh (.+)$", page.read_text("utf-8"), re.MULTILINE)
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"} <= set(sections)


def test_every_page_is_about_a_command() -> None:
    assert set(MAN.iterdir()) == set(PAGES)


@pytest.mark.parametrize("page", sorted(MAN.glob("*.1")), ids=lambda page: page.stem)
def test_mandoc_finds_nothing_to_say(page: Path) -> None:
    needs("mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True, check=False)
    findings = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert not findings

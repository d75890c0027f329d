"""Every command has a page, and no page says anything else than the command does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs
from tests.man.generate import MAN, pages, with_options

PAGES = pages()


@pytest.mark.parametrize(("page", "info"), PAGES.items(), ids=lambda v: v.stem if isinstance(v, Path) else "")
def test_the_options_of_a_page_are_those_of_the_command(page: Path, info: Mapping[str, Any]) -> None:
    text = page.read_text("utf-8")
    assert text == with_options(text, tuple(page.stem.split("-")), info), "run: python -m tests.man.generate"


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
    said = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert not said

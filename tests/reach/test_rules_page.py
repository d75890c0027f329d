"""The manual page lists the rules as they are."""

from __future__ import annotations

from tests.reach.rules_page import PAGE, with_rules


def test_the_manual_page_lists_every_rule() -> None:
    page = PAGE.read_text("utf-8")
    assert with_rules(page) == page, "run: python -m tests.reach.rules_page"

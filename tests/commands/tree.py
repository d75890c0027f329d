"""All commands of netprobe with their contexts, for tests of what holds for every one of them."""

from __future__ import annotations

from tests.man.generate import Page, pages

__all__ = ["COMMANDS", "IDS"]

COMMANDS: list[Page] = list(pages().values())
IDS = ["-".join(page.path) for page in COMMANDS]

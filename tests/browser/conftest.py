"""One browser for each module of tests: ``browser.opened(text)`` shows a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Chromium, running, why_not
from tests.conftest import cannot_run


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Start it. Its scope is the module, because Playwright keeps an event loop running in this thread meanwhile."""
    reason = why_not()
    if reason is not None:
        cannot_run(reason)
    with running() as chromium:
        yield chromium

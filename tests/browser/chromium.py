"""Debian's Chromium, driven by Playwright, so that a page is judged by what a browser makes of it.

The browser has no network: it runs in a network namespace of its own in which not even loopback is up, and what it
would ask its makers for at every start is switched off besides. Playwright talks to it through two pipes, not through a
port. Where this runs as root, Chromium would have to give up its sandbox; so it runs as ``nobody``, in a directory of
its own, and keeps it. An ordinary user gets the network namespace by a user namespace, where those are allowed;
elsewhere only the switches are left.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

__all__ = ["Chromium", "Opened", "running", "why_not"]

_NOBODY: Final = 65534
_AS_NOBODY: Final = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--")
_SWITCHES: Final = (
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name and no address leads anywhere
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-quic",
    "--disable-gpu",
    "--no-pings",
    "--no-first-run",
)
_LIMIT_MS: Final = 30_000  # for anything that a page is waited for; a busy machine needs a tenth


@cache
def why_not() -> str | None:
    """Why no browser can be driven here; None where one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        return f"no playwright: {error}"
    missing = [program for program in ("chromium", "setpriv", "unshare") if shutil.which(program) is None]
    return f"{', '.join(missing)} not installed" if missing else None


@dataclass(slots=True)
class Opened:
    """A page, and what happened in it since it was opened: what its console or its script's errors say, its requests.

    ``stopped`` are the requests that never left, with the reason.
    """

    page: Page
    address: str
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stopped: list[tuple[str, str | None]] = field(default_factory=list)

    def refuse(self, dialog: Dialog) -> None:
        """Close what ``alert()`` opens."""
        self.messages.append(dialog.message)
        dialog.dismiss()

    def measure(self, script: str, *arguments: object) -> Any:
        """What a JavaScript function returns in the page."""
        return self.page.evaluate(script, list(arguments))


class Chromium:
    """One browser process. What it opens are files in ``folder``, which it may read and nothing else can reach."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    @contextmanager
    def opened(
        self, text: str, name: str = "page.html", *, width: int = 1280, fragment: str = "", **options: Any
    ) -> Iterator[Opened]:
        """Show ``text`` as a file called ``name``; ``options`` are those of Playwright's ``new_context``."""
        file = self._folder / name
        file.write_text(text, "utf-8", newline="")
        context = self._browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(_LIMIT_MS)
        try:
            page = context.new_page()
            opened = Opened(page, file.as_uri())
            page.on("console", lambda message: opened.messages.append(message.text))
            page.on("pageerror", lambda error: opened.messages.append(str(error)))
            page.on("dialog", lambda dialog: opened.refuse(dialog))
            page.on("request", lambda request: opened.requests.append(request.url))
            page.on("requestfailed", lambda request: opened.stopped.append((request.url, request.failure)))
            page.goto(opened.address + fragment)
            yield opened
        finally:
            context.close()


@contextmanager
def running() -> Iterator[Chromium]:
    """Start the browser, and end it."""
    from playwright.sync_api import sync_playwright

    home = Path(tempfile.mkdtemp(prefix="netprobe-browser."))
    try:
        for name in ("profile", "pages"):
            (home / name).mkdir()
        if os.geteuid() == 0:
            home.chmod(0o711)
            os.chown(home / "profile", _NOBODY, _NOBODY)
        start = home / "start"
        start.write_text(_program(home), "utf-8")
        start.chmod(0o755)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=start, chromium_sandbox=True, args=list(_SWITCHES), timeout=_LIMIT_MS
            )
            try:
                yield Chromium(browser, home / "pages")
            finally:
                browser.close()
    finally:
        shutil.rmtree(home)


def _program(home: Path) -> str:
    """A shell script that becomes the browser. Of two --user-data-dir, Chromium takes the last."""
    profile = shlex.quote(str(home / "profile"))
    return (
        "#!/bin/sh\n"
        f"export HOME={profile} XDG_CONFIG_HOME={profile} XDG_CACHE_HOME={profile}\n"
        f'exec {shlex.join(_confined())} chromium "$@" --user-data-dir={profile}\n'
    )


def _confined() -> list[str]:
    """What comes before the browser's name on its command line: without a network, and as nobody."""
    own_network = ["unshare", "--net"]
    if os.geteuid() != 0:
        own_network = ["unshare", "--map-current-user", "--net"]
    if subprocess.run([*own_network, "true"], capture_output=True, check=False).returncode:
        own_network = ["env"]
    return [*own_network, *(_AS_NOBODY if os.geteuid() == 0 else ())]

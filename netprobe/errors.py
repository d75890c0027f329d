"""The error tree: what went wrong, why, what to do about it, and the exit status it ends in."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["AddressError", "CannotRunError", "Exit", "InvalidInputError", "NetprobeError", "Terminated"]


class Exit(IntEnum):
    """The exit statuses of every netprobe command (netprobe(1), EXIT STATUS)."""

    OK = 0  # ran, all good
    NO = 1  # ran, the answer is no
    USAGE = 2  # wrong usage or an invalid address
    CANNOT_RUN = 3  # permission, no such vantage, port taken
    INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised in the main thread as Python raises Ctrl-C: what cleans up after one does after all.

    As text it is the signal's name.
    """

    def __init__(self, number: int) -> None:
        import signal  # whoever handles signals has it; most runs do not

        self.number = number
        super().__init__(signal.Signals(number).name)


class NetprobeError(Exception):
    """Something the user should know about: ``what: why`` and an optional ``hint``.

    ``what`` names the thing (an address, a port, a file), ``why`` says what is wrong with it in words, ``hint`` says
    what to do. All three are kept unescaped and may quote text from outside; whatever writes them to a terminal or
    a line escapes them (:func:`netprobe.render.output.error_lines`).
    """

    exit_code: Exit = Exit.CANNOT_RUN

    def __init__(self, what: str, why: str, hint: str | None = None) -> None:
        self.what = what
        self.why = why
        self.hint = hint
        super().__init__(f"{what}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.what, self.why, self.hint))


class InvalidInputError(NetprobeError):
    """What the user gave cannot be used: exit status 2."""

    exit_code = Exit.USAGE


class AddressError(InvalidInputError, ValueError):
    """A text that is not an address, prefix or range: exit status 2. Also a ``ValueError``."""


class CannotRunError(NetprobeError):
    """It could not run: no permission, port taken, no such vantage. Exit status 3."""

    exit_code = Exit.CANNOT_RUN

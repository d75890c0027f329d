"""The click group and the one error boundary: however a run ends, it becomes an exit status here.

Nothing below this module catches an error in order to print it or to exit. Commands and engines raise; ``run`` alone
knows statuses, the form of a message, and what to do about Ctrl-C and broken pipes. click's standalone mode, which
would do that, is not used, because it does it differently: it ends in 1 on Ctrl-C and on a broken pipe, where a shell
expects 130 and ``netprobe … | head -1`` is not a failure, and prints usage errors as three lines with an ``Error:``.
An unexpected exception is one line too, with a hint to use ``--debug``: a traceback means nothing to a user.

SIGTERM and SIGHUP are raised like Ctrl-C, so that whatever a run opened, started or drafted is closed, ended and
removed; then they do what they do to a program that does not catch them. One that is ignored here (nohup) stays so.

Text from outside (a file's name, a mistyped argument) is escaped before it is written to stderr, as everywhere else.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from netprobe.commands.command import DEBUG, Group, Option, early_output_options
from netprobe.errors import Exit, NetprobeError, Terminated
from netprobe.version import __version__

__all__ = ["netprobe", "run"]

_LONGEST_COMPLETION_S = 2.0
ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


@click.group(
    cls=Group,
    lazy={
        "classify": "netprobe.commands.classify.options",
        "bindtest": "netprobe.commands.bindtest.options",
        "echo": "netprobe.commands.echo.group",
        "interfaces": "netprobe.commands.interfaces.options",
        "completion": "netprobe.commands.completion.options",
        "help": "netprobe.commands.help_command",
    },
    examples=[
        ("netprobe classify 172.20.1.5", "what is this address?"),
        ("netprobe bindtest 0.0.0.0 --from ssh:web1", "who can reach what I bind?"),
        ("netprobe echo ping server.example", "does it echo, and how fast?"),
    ],
    context_settings={
        "auto_envvar_prefix": "NETPROBE",
        "show_default": True,
    },
)
@early_output_options
@click.version_option(
    __version__,
    "-V",
    "--version",
    message="netprobe %(version)s",
    cls=Option,
    help="Show the version.",
    brief="show the version",
)
def netprobe(**_: object) -> None:
    """What is this address? Who can reach what I bind? Does it echo, and how fast?"""


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status; raises nothing.

    It is one of :class:`netprobe.errors.Exit`, or 128 + 15 and 128 + 1 after a SIGTERM and a SIGHUP.
    """
    _make_streams_tolerant()
    context = click.Context(netprobe)
    try:
        _catch_signals()
        if "_NETPROBE_COMPLETE" in os.environ:
            return _complete()
        with netprobe.make_context("netprobe", list(argv)) as context:
            status = netprobe.invoke(context)
        sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.Exit as end:
        return _flushed(end.exit_code)
    except Terminated as end:
        return _terminated(end)
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        return _reader_gone()
    except click.exceptions.NoArgsIsHelpError as error:
        return _complain(error.format_message(), Exit.USAGE)
    except click.ClickException as error:
        return _complain(_usage_lines(error), Exit.USAGE)
    except NetprobeError as error:
        return _complain(_lines(str(error), error.hint), error.exit_code, context)
    except OSError as error:
        return _complain(_os_error_lines(error), Exit.CANNOT_RUN, context)
    except MemoryError:
        return _complain(_lines("operating system: out of memory"), Exit.CANNOT_RUN, context)
    except Exception as error:
        if str(error) == "can't start new thread":  # a RuntimeError without an errno
            why = "no more threads or processes can be started"
            return _complain(_lines(f"operating system: {why}", "see: ulimit -u"), Exit.CANNOT_RUN, context)
        text = _lines(
            f"internal error: {type(error).__name__}: {' '.join(str(error).split())}",
            "this is a bug in netprobe; run it again with --debug to see where",
        )
        return _complain(text, Exit.CANNOT_RUN, context)


def _make_streams_tolerant() -> None:
    """Keep characters that the locale cannot encode from ending the run, and closed streams from being mistaken.

    The descriptor of a stream that is closed (``<&-``, ``>&-``) would go to the next socket or file, and what is meant
    for stderr into it. So it is taken, by the end of a pipe whose other end is closed: reading it is the end, writing
    it an error. /dev/null would do the same, but there are root directories without one. A stdout that is closed
    refuses every byte: it would silently swallow the answer.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            read, write = os.pipe()
            os.close(write)
            if read != descriptor:  # a system that does not give out the lowest one
                os.close(read)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _complete() -> int:
    """Answer the Tab key. Somebody is typing: nothing is said but what fits, and nothing after two seconds."""
    import signal

    from click.shell_completion import shell_complete

    from netprobe.commands.completion.shells import register

    if hasattr(signal, "setitimer"):  # a file on a network that is gone cannot be given a time-out otherwise
        signal.signal(signal.SIGALRM, lambda *_: os._exit(Exit.OK))
        signal.setitimer(signal.ITIMER_REAL, _LONGEST_COMPLETION_S)
    register()
    try:
        return shell_complete(netprobe, {}, "netprobe", "_NETPROBE_COMPLETE", os.environ["_NETPROBE_COMPLETE"])
    except Exception:
        return Exit.CANNOT_RUN


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        return _complain(_os_error_lines(error), Exit.CANNOT_RUN)
    return status


def _catch_signals() -> None:
    """Have SIGTERM and SIGHUP raised, where nobody ignores or handles them and this is the main thread.

    Once: a second one, in the middle of the cleaning, is nobody's to catch.
    """
    import signal
    import threading

    def raise_it(number: int, frame: object) -> None:
        _release_signals()
        raise Terminated(number)

    if threading.current_thread() is threading.main_thread():
        for name in ENDING_SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, raise_it)


def _release_signals() -> None:
    """From here on one more signal, Ctrl-C included, kills the process."""
    import signal

    for name in ("SIGINT", *ENDING_SIGNALS):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _terminated(end: Terminated) -> int:
    """One line. The reader may have gone with whoever sent the signal, which changes nothing."""
    _release_signals()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_stdout()
    return _complain(f"netprobe: ended by {end}", 128 + end.number)


def _interrupted() -> int:
    """One line."""
    _release_signals()
    status = _flushed(Exit.INTERRUPTED)
    return _complain("netprobe: interrupted", Exit.INTERRUPTED) if status == Exit.INTERRUPTED else status


def _reader_gone() -> int:
    """The reader of our stdout has what it wanted (``| head -1``): end quietly, with status 0."""
    _drop_stdout()
    return Exit.OK


def _drop_stdout() -> None:
    """Point stdout at the null device, so that the interpreter's last flush cannot fail; without one, at nothing."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        sys.stdout = None


def _complain(text: str, status: int, context: click.Context | None = None) -> int:
    """Print ``text`` on stderr, with --debug after the current exception's traceback."""
    try:
        if context is not None and context.meta.get(DEBUG):
            import traceback

            from netprobe.text import escape

            text = escape(traceback.format_exc(), keep="\n") + text
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
    return status


def _usage_lines(error: click.ClickException) -> str:
    """click's own complaints in netprobe's form: ``netprobe: what: why`` and a hint."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "netprobe"
    what = path.removeprefix("netprobe").strip()
    why = " ".join(error.format_message().split()).rstrip(".")
    why = why[:1].lower() + why[1:]
    hint = None
    if isinstance(error, click.NoSuchOption) and context is not None:
        from netprobe.commands.suggestions import meant_option

        hint = meant_option(error.option_name, context)
    return _lines(f"{what}: {why}" if what else why, hint or f"see '{path} --help'")


def _os_error_lines(error: OSError) -> str:
    """An error of the operating system that no part of netprobe expected."""
    why = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):  # no fault of the file that happened to be the next
        return _lines(f"operating system: {why}", "see: ulimit -n")
    if error.filename is not None:
        return _lines(f"{error.filename}: {why}")
    if error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF):
        _drop_stdout()
        return _lines(f"standard output: {why}", "the output is not complete")
    return _lines(f"operating system: {why}", "run it again with --debug to see where")


def _lines(text: str, hint: str | None = None) -> str:
    from netprobe.render.output import error_lines  # not at the top: ``--version`` needs nothing of it

    return error_lines(text, hint)

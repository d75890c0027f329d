"""``netprobe echo ping`` for people: a line for each reply, in a pipe as on a terminal, and what they add up to.

On a terminal the answer stands at the end, because the replies come one by one. The same failure again and again is one
line whose count grows in place: the line is left open and written again from its begin, which takes a carriage return
and no escape sequence, so it works without colour, too. The live picture is in netprobe/render/live_ping.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.echo.clients.ping import Reply
from netprobe.echo.clients.statistics import KernelTimes, PingStatistics
from netprobe.render.terminal import Terminal, folded_line
from netprobe.text import escape
from netprobe.verdicts import Verdict

__all__ = [
    "Asked",
    "PingScreen",
    "percentiles",
    "print_summary",
    "reply_line",
    "summary_lines",
]

_KERNEL = {"TCP_INFO": "TCP_INFO, acknowledgements", "SO_TIMESTAMPING": "SO_TIMESTAMPING, device to device"}
_SAMPLES_FOR = (("p90", 10), ("p99", 100), ("p99.9", 1000))  # fewer of them, and it is just the greatest or nearly so
_DEFAULT_PORT = 65432


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent where. ``how`` is ``tcp``, ``udp``, ``framed`` or ``connect-only``; ``size`` in bytes."""

    host: str
    port: int
    destination: str
    how: str
    size: int
    interval_s: float
    count: int  # 0 is without end

    @property
    def heading(self) -> str:
        """``tcp 127.0.0.1:65432, 64 bytes, one a second``."""
        what = {"framed": "tcp framed", "connect-only": "tcp handshakes with"}.get(self.how, self.how)
        size = "" if self.how == "connect-only" else f", {self.size:,} byte{'s' if self.size != 1 else ''}"
        return f"{what} {self.destination}{size}, {_pace(self.interval_s)}"

    @property
    def is_on_this_host(self) -> bool:
        """Is it certainly this host that is asked?"""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def _pace(interval_s: float) -> str:
    if interval_s == 0:
        return "one after the other"
    if interval_s == 1:
        return "one a second"
    rate = round(1 / interval_s, 6)
    return f"{rate:g} a second" if rate > 1 and rate == int(rate) else f"one every {interval_s:g} s"


def reply_line(reply: Reply) -> str:
    """One message as one line of a pipe."""
    head = f"{reply.destination}: seq={reply.sequence}"
    if reply.rtt_ms is None:
        return f"{head} {reply.verdict}: {reply.cause}"
    size = f" {reply.bytes} bytes," if reply.bytes else ""
    return f"{head}{size} {_time_words(reply, ' ')}"


def _time_words(reply: Reply, gap: str) -> str:
    text = f"{reply.rtt_ms:.3f} ms"
    if reply.note:
        return f"{text}{gap}({reply.note})"
    if reply.server_ms is not None:
        text += f"{gap}(server {reply.server_ms:.3f}, network {reply.network_ms:.3f})"
    if reply.kernel_ms is not None:
        text += f"{gap}(kernel {reply.kernel_ms:.3f})"
    return text


def summary_lines(statistics: PingStatistics, last: Reply | None = None) -> str:
    """In a pipe: the figures of all messages; ``last`` is the last reply that names the address we appear under."""
    counts = f"{statistics.sent} sent, {statistics.received} came back, {statistics.loss_percent:g}% lost"
    lines = [counts + _anomalies(statistics)]
    if statistics.received:
        ranks = [("p50", statistics.p50_ms), *percentiles(statistics.received, _ranks(statistics))]
        lines += [
            f"rtt min/mean/max {statistics.min_ms:.3f}/{statistics.mean_ms:.3f}/{statistics.max_ms:.3f} ms, "
            f"jitter {statistics.jitter_ms:.3f} ms",
            f"rtt {'/'.join(name for name, _ in ranks)} {'/'.join(f'{value:.3f}' for _, value in ranks)} ms",
        ]
    if statistics.server_ms is not None:
        lines.append(f"medians: server {statistics.server_ms:.3f} ms, network {statistics.network_ms:.3f} ms")
    if statistics.kernel is not None:
        lines.append(_kernel_line(statistics.kernel))
    if last is not None and last.appears_as is not None:
        lines.append(_appearance(last))
    return "\n".join(lines)


def percentiles(samples: int, values: Sequence[float | None]) -> list[tuple[str, float]]:
    """Names and values of p90, p99 and p99.9, of those that this many samples can carry.

    A percentile needs a sample beyond it: the 99th of four is the greatest, under a name that promises more.
    """
    named = zip(_SAMPLES_FOR, values, strict=True)
    return [(name, value) for (name, least), value in named if samples >= least and value is not None]


def _ranks(statistics: PingStatistics) -> tuple[float | None, float | None, float | None]:
    return statistics.p90_ms, statistics.p99_ms, statistics.p999_ms


def _anomalies(statistics: PingStatistics) -> str:
    counts = {"duplicates": statistics.duplicates, "late": statistics.late, "reordered": statistics.reordered}
    return "".join(f", {count} {name}" for name, count in counts.items() if count)


def _kernel_line(kernel: KernelTimes) -> str:
    text = f"kernel rtt {kernel.rtt_ms:.3f}"
    if kernel.deviation_ms is not None:
        text += f" ± {kernel.deviation_ms:.3f}"
    text += " ms"
    if kernel.min_ms is not None:
        text += f", min {kernel.min_ms:.3f} ms"
    return f"{text}{_retransmits(kernel)} ({_KERNEL[kernel.source]})"


def _retransmits(kernel: KernelTimes) -> str:
    if not kernel.retransmits:
        return ""
    return f", {kernel.retransmits} segment{'s' if kernel.retransmits > 1 else ''} retransmitted"


def _appearance(reply: Reply) -> str:
    translated = {True: " (NAT or a proxy in between)", False: " (no NAT in between)", None: ""}[reply.translated]
    return f"you appear as {escape(reply.appears_as or '')} there{translated}"


class PingScreen:
    """The replies of a run as they come, the same failure once, and the answer at the end."""

    def __init__(self, asked: Asked, terminal: Terminal) -> None:
        self._asked, self._terminal = asked, terminal
        self._digits = len(str(asked.count or 100))
        self._failed: Reply | None = None  # the first of the failures that the last line stands for
        self._open = False  # was that line left open, to be written again?
        self._last_failure: Reply | None = None
        self._appearing: Reply | None = None
        _write(folded_line(asked.heading, terminal.width) + "\n")

    def add(self, reply: Reply) -> None:
        """Show a reply, or count a failure."""
        if reply.appears_as is not None:
            self._appearing = reply
        if reply.rtt_ms is None:
            self._last_failure = reply
            self._add_failure(reply)
        else:
            self._close()
            took, gap, more = _time_words(reply, "  ").partition("  ")
            text = f"  {reply.sequence:>{self._digits}}  {took}{gap}" + more.replace(" ", "\xa0")
            _write(folded_line(text, self._terminal.width).replace("\xa0", " ") + "\n")

    def end(self, head: object | None) -> None:
        """Print the answer: ``head`` has the statistics."""
        self._close()
        statistics = getattr(head, "summary", None)
        if isinstance(statistics, PingStatistics):
            print_summary(self._asked, statistics, self._appearing, self._last_failure, self._terminal)

    def _add_failure(self, reply: Reply) -> None:
        first = self._failed
        if first is None or (first.verdict, first.cause) != (reply.verdict, reply.cause):
            self._close()
            self._failed = first = reply
        is_first = first.sequence == reply.sequence
        numbers = f"{reply.sequence:>{self._digits}}" if is_first else f"{first.sequence} to {reply.sequence}"
        text = f"! {numbers}  {reply.verdict}: {reply.cause}"
        fits = len(text) < self._terminal.width  # the cursor stays on the line
        if not self._terminal.stdout_tty:
            _write(f"! {reply.sequence:>{self._digits}}  {reply.verdict}: {reply.cause}\n")
        elif is_first and not fits:
            _write(_painted(folded_line(text, self._terminal.width), self._terminal) + "\n")
        else:
            if not fits:
                begin = first.sequence + 1
                numbers = str(begin) if begin == reply.sequence else f"{begin} to {reply.sequence}"
                text = f"! {numbers}  the same"
            _write(("\r" if self._open else "") + _painted(text, self._terminal))
            self._open = True

    def _close(self) -> None:
        if self._open:
            _write("\n")
        self._failed, self._open = None, False


def print_summary(
    asked: Asked,
    statistics: PingStatistics,
    appearing: Reply | None,
    failure: Reply | None,
    terminal: Terminal,
    *,
    times: bool = True,
) -> None:
    """The answer, the figures below it (without the round trips where a picture has them), and what to do next."""
    from rich.text import Text

    from netprobe.render.card import next_lines
    from netprobe.render.grid import prose
    from netprobe.render.palette import ANSWER
    from netprobe.render.table import print_lines

    lines = list(prose(Text(_answer(asked, statistics), style=ANSWER), terminal.width, "  ", ""))
    for label, value in _figures(statistics, times=times):
        lines += prose(Text(f"{label.ljust(12)}{value}"), terminal.width, "  ", "")
    if appearing is not None:
        lines += prose(Text(_appearance(appearing)), terminal.width, "  ", "")
    if failure is not None and not statistics.received:
        lines += next_lines(_commands(asked, failure.verdict), "Next, there:")
    print_lines(lines, terminal)


def _answer(asked: Asked, statistics: PingStatistics) -> str:
    counts = f"{statistics.received} of {statistics.sent}"
    yes, no, unit = ("it echoes", "it does not echo", "came back")
    if asked.how == "connect-only":
        yes, no, unit = ("it accepts connections", "it does not accept connections", "handshakes completed")
    if not statistics.sent:
        return "nothing was sent"
    if not statistics.received:
        return f"{no}: {counts} {unit}{_anomalies(statistics)}"
    unchanged = "" if asked.how == "connect-only" else " unchanged"
    lost = statistics.sent - statistics.received
    losses = f", {lost} lost ({statistics.loss_percent:.3g}%)" if lost else ""
    return f"{yes}: {counts} {unit}{unchanged}{losses}{_anomalies(statistics)}"


def _figures(statistics: PingStatistics, *, times: bool) -> Iterator[tuple[str, str]]:
    if statistics.received and times:
        ranks = percentiles(statistics.received, _ranks(statistics))
        figures = [("min", statistics.min_ms), ("median", statistics.p50_ms), *ranks, ("max", statistics.max_ms)]
        yield "round trip", "  ".join(f"{name}\xa0{value:.3f}" for name, value in figures) + "\xa0ms"
    if statistics.server_ms is not None:
        yield "median", f"server\xa0{statistics.server_ms:.3f}  network\xa0{statistics.network_ms:.3f}\xa0ms"
    if statistics.kernel is not None:
        kernel = statistics.kernel
        least = f", min {kernel.min_ms:.3f}" if kernel.min_ms is not None else ""
        whose, what = (
            ("tcp's own", "kernel estimate") if kernel.source == "TCP_INFO" else ("kernel's", "device to device")
        )
        yield whose, f"{kernel.rtt_ms:.3f} ms{least}{_retransmits(kernel)} ({what})"


def _commands(asked: Asked, verdict: Verdict) -> Sequence[str]:
    """What shows at the other side why nothing came back; nothing where the cause is not there."""
    if verdict not in (Verdict.REFUSED, Verdict.NO_ANSWER, Verdict.WRONG_RESPONDER):
        return ()
    look = f"ss -lntu 'sport = :{asked.port}'"
    if verdict == Verdict.WRONG_RESPONDER or asked.how == "connect-only":
        return (look,)
    serve = "netprobe echo serve"
    if not asked.is_on_this_host:
        serve += " --host ::" if ":" in asked.host else " --host 0.0.0.0"
    serve += " --framed" if asked.how == "framed" else ""
    serve += f" --port {asked.port}" if asked.port != _DEFAULT_PORT else ""
    return (serve, look)


def _painted(text: str, terminal: Terminal) -> str:
    """A failure, in its colour where there are colours. rich is asked for nothing else: it would fold and pad."""
    if not terminal.colour:
        return text
    from rich.style import Style

    from netprobe.render.palette import FAILURE
    from netprobe.render.table import console

    return Style.parse(FAILURE).render(text, color_system=console(terminal)._color_system)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

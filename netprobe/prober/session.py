"""The far side of a session: one JSON object a line each way, questions through stdin, answers through stdout.

There is one kind of question, ``{"probe": {...}}``. It is answered with ``hello``, a ``name`` for each of its names, a
``cell`` for each of its cells, a ``ladder`` for each of its ladders, ``alive`` now and then, and ``done``; or with
``crash`` and the traceback, after which the prober ends. One that asks of the trace (:mod:`netprobe.prober.tracing`,
which does not travel otherwise) is answered in the same way. After ``done`` the next question may come, so what is
asked next can depend on what was answered: what a name stands for here, to begin with, or how far a silent probe comes.

Nothing may stay behind at a vantage. So the end of stdin ends the prober at once, in the middle of anything: whatever
carries the session (ssh, docker, kubectl, a pipe) closes it when netprobe ends, killed or not. Should a carrier keep it
open, there are two more ends: writing to a stdout that nobody reads any more, which the heartbeat tries once a second,
and SIGALRM, after the longest life that the question can have, or a minute after the start if none comes. A thread
reads stdin, because select() does not work on pipes under Windows, and because what Python has already buffered would
never be selected.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, Dict, TextIO, Union

from netprobe.prober import engine, ladder
from netprobe.prober.pacing import PATIENCE_S
from netprobe.prober.sockets import descriptors_for

__all__ = ["Conversation", "converse"]

MARGIN_S = 5.0  # how much longer than its time-outs a prober may live
UNASKED_S = 60.0  # how long it waits for the first question, which comes together with the program


def converse() -> None:
    """Answer what comes through stdin; the process ends with it."""
    Conversation(sys.stdin, sys.stdout).run()


class Conversation:
    """Questions in, answers out, the end of either is the end of the process."""

    def __init__(self, questions: TextIO, answers: TextIO) -> None:
        self._stream = questions
        self._answers = answers
        self._writing = threading.Lock()
        self._beating = False
        self._tracing: Any = None  # there is a type for it only where it has travelled
        self._questions: "queue.Queue[Union[str, Exception]]" = queue.Queue()

    def run(self) -> None:
        """Never returns: os._exit() does not wait for the thread that hangs in a read of stdin."""
        _end_after(UNASKED_S)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            while True:
                self._answer(self._next_question())
        except (BrokenPipeError, KeyboardInterrupt):
            pass  # nobody reads any more
        except Exception:
            self._emit({"crash": traceback.format_exc()})
        finally:
            os._exit(1)

    def _read(self) -> None:
        try:
            for line in iter(self._stream.readline, ""):
                self._questions.put(line)
        except Exception as error:  # no text in the encoding of this place, a stdin that cannot be read (EIO)
            self._questions.put(error)  # nobody but the main thread can tell of it
        else:
            if self._tracing is not None:
                self._tracing.close()
            os._exit(0)

    def _next_question(self) -> Dict[str, Any]:
        line = self._questions.get()
        if isinstance(line, Exception):
            raise line
        question: Dict[str, Any] = json.loads(line)
        return question

    def _answer(self, question: Dict[str, Any]) -> None:
        request = question["probe"]
        self._limit_life(request)
        if request.get("heartbeat") and not self._beating:
            self._beating = True
            threading.Thread(target=self._beat, args=(float(request["heartbeat"]),), daemon=True).start()
        trace = None
        if "trace" in request or "look" in request:
            if self._tracing is None:
                from netprobe.prober.tracing import Tracing

                self._tracing = Tracing()
            trace = self._tracing.answer
        engine.run(request, self._emit, trace=trace)

    def _emit(self, message: Dict[str, Any]) -> None:
        with self._writing:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()

    def _beat(self, pause: float) -> None:
        """Tell who listens that we live; and learn when nobody listens any more."""
        try:
            while True:
                time.sleep(pause)
                self._emit({"alive": True})
        finally:
            os._exit(1)  # whatever ended it: without it a stdout that nobody reads would keep this process

    def _limit_life(self, request: Dict[str, Any]) -> None:
        """Have the system end this process when the request cannot be under way any more."""
        cells, timeout = len(request["cells"]), float(request["timeout"])
        if request.get("life"):
            life = float(request["life"])  # who asks has counted the rounds, and waits no longer
        else:
            rounds = 1 + cells // descriptors_for(cells)
            life = 2 * rounds * timeout + float(request.get("patience", PATIENCE_S)) + MARGIN_S
            life += ladder.longest_s(len(request.get("ladders", ())))
        _end_after(life)


def _end_after(seconds: float) -> None:
    """By a signal, so that nothing that hangs here can prevent it; not on Windows."""
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)

"""Anyone's code inside a command: what it prints does not mix with the answer, and it does not run for ever."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from crossnn.errors import BackendError

SHOWN = 200
_AGAIN = 1.0
"""Seconds after which what swallows the interruption is interrupted again."""


class _OutOfTime(BaseException):
    """No Exception: those of a user's code are caught and told."""


class Output(io.TextIOBase):
    """Counts what is printed, and keeps the first line."""

    lines = 0
    first = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self.lines and len(self.first) < SHOWN:
            self.first += text.partition("\n")[0][:SHOWN]
        self.lines += text.count("\n")
        return len(text)

    @property
    def said(self) -> str:
        """What to tell of it; nothing where nothing was printed."""
        if not self.lines and not self.first:
            return ""
        first = self.first.strip()[:SHOWN]
        return f"printed {max(self.lines, 1):,} lines while it ran, left out here; the first: {first!r}"


@contextlib.contextmanager
def kept_apart() -> Iterator[Output]:
    """Around anyone's code: its standard output goes nowhere and is counted."""
    output = Output()
    with contextlib.redirect_stdout(output):
        yield output


@contextlib.contextmanager
def at_most(seconds: float, what: str) -> Iterator[None]:
    """Around anyone's code: an error after so many seconds, where the system can interrupt (in the main thread, and
    between two steps of Python)."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or seconds <= 0:
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    except _OutOfTime:
        raise BackendError(
            f"{what} is not identified after {seconds:g} s: it, or the search, is too slow; --timeout SECONDS gives it "
            "more time (0: no limit)"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

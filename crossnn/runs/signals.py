"""What Ctrl-C and termination mean while children are at work.

Only the main thread may arrange signals; elsewhere (tests, a caller's own threads) these do nothing.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Being terminated ends like Ctrl-C: results kept, no child left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """An impatient second Ctrl-C must not cost the results that the first one is saving."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

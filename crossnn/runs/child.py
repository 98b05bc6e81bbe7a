"""One worker process seen from its parent: started in a fixed environment, asked with a time limit, ended with all it
started.

The environment is fixed before the process exists because frameworks read thread counts and devices once, while they
are imported. The worker leads a process group of its own: Ctrl-C in the terminal does not reach it, and whatever it
starts (compilers, pools) ends with it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping

from crossnn.runs.worker import EXECUTE

CLOSING_SECONDS = 2.0
"""How long a worker may take to leave after its input has ended, before it is killed."""


class ChildEndedError(Exception):
    """The worker is gone; the message says how, and quotes the last thing it printed."""


class ChildTimeoutError(Exception):
    """The worker did not answer in time."""


class Child:
    """A running worker for one backend on one device."""

    def __init__(
        self,
        backend: str,
        device: str,
        threads: int,
        *,
        execute: str = EXECUTE,
        folder: str | None = None,
        probe: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._buffer = b""
        self._killing, self._killed = threading.Lock(), False
        command = [sys.executable, "-P", "-m", "crossnn.runs.worker", "--backend", backend, "--execute", execute]
        command += [*(["--folder", folder] if folder else []), *(["--probe"] if probe else [])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**environment(device, threads, os.environ), **(extra or {})},
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: bytes) -> None:
        try:
            self._input.write(line + b"\n")
        except BrokenPipeError:
            raise ChildEndedError(self._how_it_ended()) from None

    def receive(self, timeout: float) -> bytes:
        """The next line of the worker."""
        until = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = until - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ChildTimeoutError
                read = os.read(self._output.fileno(), 1 << 20)
                if not read:
                    raise ChildEndedError(self._how_it_ended())
                self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def close(self) -> None:
        """Let the worker leave by itself, then make sure."""
        with contextlib.suppress(OSError):
            self._input.close()
        with contextlib.suppress(ChildEndedError, ChildTimeoutError):
            self.receive(CLOSING_SECONDS)
        self.dispose()

    def kill(self) -> None:
        """End the worker and everything it started; safe to call again, and from another thread."""
        with self._killing:
            if self._killed:
                return  # its number may belong to another process by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._killed = True

    def dispose(self) -> None:
        """Kill it and close its files; only for the thread that talks to it."""
        self.kill()
        for stream in (self._input, self._output, self._errors):
            with contextlib.suppress(OSError):
                stream.close()

    def last_words(self) -> str:
        """The last line on standard error, which is where a crash explains itself."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._errors.fileno()).st_size
            tail = os.pread(self._errors.fileno(), 8192, max(0, size - 8192)).decode("utf-8", "replace")
            lines = [line.strip() for line in tail.splitlines() if line.strip()]
            return lines[-1][:500] if lines else ""
        return ""

    def _how_it_ended(self) -> str:
        # Its output has ended, so it is already exiting: its own exit status is fixed before the group is killed.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_SECONDS)
        self.kill()
        words = self.last_words()
        return f"{describe_exit(self._process.returncode)}{f'; it said: {words}' if words else ''}"


def describe_exit(code: int | None) -> str:
    """A return code in words."""
    if code is None:
        return "closed its output"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (what the system does to a process when memory runs out)" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def environment(device: str, threads: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: the user's own, with threads, device and hashing fixed."""
    number = str(threads)
    fixed = {
        "OMP_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "TF_NUM_INTRAOP_THREADS": number,
        "TF_NUM_INTEROP_THREADS": "1",
        "PJRT_NPROC": number,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONHASHSEED": "0",
    }
    if device == "cpu":
        fixed |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return {**inherited, **fixed}

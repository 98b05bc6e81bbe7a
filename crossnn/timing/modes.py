"""The modes of a third party's adapter: asked of it in a process of its own, so that planning imports no framework.

Those of the built-in backends stand in the registry. Anyone else's adapter says them itself once it is loaded; without
them it could be timed in its first mode only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache

from crossnn import registry
from crossnn.errors import BackendError, CrossnnError, choices
from crossnn.runs.child import environment

SECONDS = 120.0
"""How long an adapter may take to be imported."""


def own_modes(backend: str, named: bool) -> list[str]:
    """All modes of a backend. One that nobody `named`, and that is not installed or does not load, has '': whoever
    prepares it says why it does not run."""
    found = registry.find(backend)
    if found.modes:
        return list(found.modes)
    if not named and found.missing:
        return [""]
    try:
        return list(_asked(backend, os.getcwd(), SECONDS))
    except BackendError:
        if named:
            raise
        return [""]


def timed_modes(backend: str, wanted: list[str] | None, named: bool) -> list[str]:
    """The modes of a backend that were asked for: all of them where none is named, or `all` is."""
    own = own_modes(backend, named)
    if wanted is None or "all" in wanted or own == [""]:
        return own
    return [mode for mode in wanted if mode in own]


def check_modes(backends: list[str], wanted: list[str] | None) -> None:
    """Refuse a mode that none of these backends, which were named, has."""
    known = {backend: own_modes(backend, True) for backend in backends}
    for mode in wanted or ():
        if mode != "all" and not any(mode in modes for modes in known.values()):
            said = "; ".join(f"{backend}: {choices(modes)}" for backend, modes in known.items())
            raise BackendError(f"unknown mode {mode!r}. Known: all; {said}")


@lru_cache(maxsize=64)
def _asked(backend: str, folder: str, seconds: float) -> tuple[str, ...]:
    """What the adapter says; `folder` is where it may lie."""
    command = [sys.executable, "-P", "-m", "crossnn.timing.modes", backend]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, cwd=folder,
            env=environment("cpu", 1, os.environ), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BackendError(f"backend {backend!r} says no modes: it was not imported within {seconds:g} s") from None
    lines = done.stdout.splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        words = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BackendError(f"backend {backend!r} does not load: {words}") from None
    if isinstance(answer, str):
        raise BackendError(answer)
    return tuple(map(str, answer))


def main() -> None:
    """Print the modes of one backend as JSON, or, as a text, why it does not load."""
    name = sys.argv[1]
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, as in a worker
    try:
        said: list[str] | str = list(registry.load(name).modes)
    except CrossnnError as error:
        said = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main()

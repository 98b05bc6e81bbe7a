"""Truth and noise that the processes of one run share: computed once, by whoever needs them first.

What a graph gives for its arguments depends on nothing else, so a result is kept under a digest of all that it depends
on: the graph, every bit of the arguments, what is asked, the code that computes it, and the versions of the libraries
beneath. A changed specification, seed or line of code is another digest; nothing can be stale. Files appear whole or
not at all, and one that does not hold what it was given is computed again. Without a folder nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from crossnn.formula.fingerprint import fingerprint
from crossnn.formula.graph import Graph

_LIBRARIES = ("numpy", "gmpy2", "mpmath")
_DIGEST = 32
_folder: Path | None = None


def share(folder: str | os.PathLike[str] | None) -> None:
    """Keep results in this folder from now on; None keeps nothing."""
    global _folder
    _folder = None if folder is None else Path(folder)


def remembered(
    what: Sequence[object], graph: Graph, arguments: Mapping[str, Any], compute: Callable[[], list[np.ndarray]]
) -> list[np.ndarray]:
    """`compute()`, or what it gave another process. `what` says what is asked of the graph and these arguments."""
    if _folder is None:
        return compute()
    path = _folder / _key(what, graph, arguments)
    found = _read(path)
    if found is None:
        found = compute()
        _write(path, found)
    return found


def _key(what: Sequence[object], graph: Graph, arguments: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(repr((_code(), *what, fingerprint(graph))).encode())

    def add(given: Any) -> None:
        if isinstance(given, Mapping):
            for name in sorted(given):
                digest.update(repr(name).encode())
                add(given[name])
        elif isinstance(given, tuple | list):
            for one in given:
                add(one)
        else:
            array = np.ascontiguousarray(given)
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(array.tobytes())

    add(arguments)
    return digest.hexdigest()


@cache
def _code() -> str:
    """The source of everything that computes results, and what it is run by."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    versions = [metadata.version(name) for name in _LIBRARIES]
    return repr((digest.hexdigest(), versions, platform.python_version(), platform.machine()))


def _read(path: Path) -> list[np.ndarray] | None:
    """The arrays of a file that is whole."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    digest, text = kept[:_DIGEST], kept[_DIGEST:]
    if hashlib.sha256(text).digest() != digest:
        return None
    shapes, values = msgspec.msgpack.decode(text, type=tuple[list[tuple[int, ...]], bytes])
    numbers, found, start = np.frombuffer(values), [], 0
    for shape in shapes:
        size = int(np.prod(shape, dtype=int))
        found.append(numbers[start : start + size].reshape(shape).copy())
        start += size
    return found


def _write(path: Path, arrays: list[np.ndarray]) -> None:
    """A file of its own first, then renamed: another process sees all of it or nothing. A full disk keeps nothing."""
    values = b"".join(np.ascontiguousarray(one, np.float64).tobytes() for one in arrays)
    text = msgspec.msgpack.encode(([one.shape for one in arrays], values))
    with contextlib.suppress(OSError):
        number, own = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(hashlib.sha256(text).digest() + text)
            os.replace(own, path)
        except OSError:
            os.unlink(own)

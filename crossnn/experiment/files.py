"""Data files of the user's: where they may lie, and how to read them without trusting them.

A file is read to the size that its header promises, no further; nothing in it is executed. Files that are not there
make an experiment NOT-RUN, files that are damaged make it fail, and both say which file and what to do.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from crossnn.errors import DataError, MissingDataError
from crossnn.formula.shapes import Shape

VARIABLE = "CROSSNN_DATA"
MOST_BYTES = 600_000_000
BYTES = 8
"""The type code of unsigned bytes in idx files."""


def folders() -> list[Path]:
    """Where data files may lie, in the order of searching."""
    own = os.environ.get(VARIABLE)
    home = Path("~/.crossnn/data").expanduser()
    return [Path(own).expanduser() if own else home, Path("~/.keras/datasets").expanduser()]


def locate(data: str, alternatives: Sequence[Sequence[str]]) -> list[Path]:
    """The files of the first complete alternative; MissingDataError says where it looked and what is wanted.
    What ends in .gz may also lie there unpacked."""
    best: tuple[int, list[str]] = (0, [])
    for folder in folders():
        for names in alternatives:
            here = {name: _existing(folder / name) for name in names}
            found = [path for path in here.values() if path]
            if len(found) == len(names):
                return found
            if len(found) > best[0]:
                best = len(found), [str(folder / name) for name, path in here.items() if not path]
    wanted = "; or ".join(", ".join(names) for names in alternatives)
    looked = ", ".join(str(folder) for folder in folders())
    rest = f" Not complete: {', '.join(best[1])} missing." if best[1] else ""
    raise MissingDataError(
        f"data {data!r} needs files of yours, and nothing is downloaded. Looked in {looked}.{rest} Put there {wanted}; "
        f"or name their folder in the environment variable {VARIABLE}"
    )


def _existing(path: Path) -> Path | None:
    for one in (path, path.with_suffix("") if path.suffix == ".gz" else path):
        if one.exists():
            return one
    return None


def read_idx(path: Path, rank: int) -> np.ndarray:
    """An array of bytes in the format of MNIST: two zeros, type, rank, lengths as big-endian numbers, data."""
    try:
        with _opened(path) as file:
            head = file.read(4)
            if head != bytes([0, 0, BYTES, rank]):
                raise DataError(
                    f"{path}: begins with {head.hex(' ') or 'nothing'}; an idx file of bytes with {rank} axes begins "
                    f"with 00 00 08 {rank:02x}: not the usual file, or damaged"
                )
            lengths = file.read(4 * rank)
            if len(lengths) < 4 * rank:
                raise DataError(f"{path}: ends in the middle of its header; get the file again")
            return _exactly(path, file, struct.unpack(f">{rank}I", lengths), np.dtype(np.uint8))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); get the file again") from None


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else open(path, "rb")


def read_npz(path: Path, names: Sequence[str], lists: Sequence[str] = ()) -> dict[str, Any]:
    """Arrays of a NumPy archive by name. Those in `lists` may be arrays of lists of whole numbers, as Keras stores
    texts; any other Python object is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {f"{name}.npy" for name in names} - set(archive.namelist())
            if missing:
                raise DataError(f"{path}: has no {', '.join(sorted(missing))}; not the archive as Keras stores it")
            found = {}
            for name in names:
                with archive.open(f"{name}.npy") as file:
                    found[name] = _read_npy(path, name, file, name in lists)
            return found
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: not a NumPy archive that can be read ({error}); get the file again") from None


def _read_npy(path: Path, name: str, file: IO[bytes], lists: bool) -> Any:
    where = Path(f"{path}:{name}")
    try:
        version = np.lib.format.read_magic(file)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = reader(file)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: no NumPy array ({error}); get the file again") from None
    if not dtype.hasobject:
        return _exactly(where, file, shape, dtype, "F" if fortran else "C")
    if not lists:
        raise DataError(f"{where}: holds Python objects, which are not loaded, since loading may run what is in them")
    return _lists(where, file, shape)


def _exactly(path: Path, file: IO[bytes], shape: Shape, dtype: np.dtype[Any], order: Any = "C") -> np.ndarray:
    """The array that a header promises; what is shorter, longer or absurdly large is refused before it fills memory."""
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_BYTES:
        raise DataError(f"{path}: its header promises {size:,} bytes (shape {shape}); at most {MOST_BYTES:,}")
    data = file.read(size + 1)
    if len(data) != size:
        says = f"{len(data):,} bytes are there" if len(data) < size else "more is there"
        raise DataError(f"{path}: its header promises {size:,} bytes (shape {shape}), {says}; get the file again")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


class _Inert:
    """Stands for every class that a pickled array names: it keeps what it is given and does nothing."""

    def __init__(self, *given: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Unpickles nothing but built-in lists, tuples, numbers and texts; NumPy's own names become inert."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("numpy", "_codecs") and name in ("_reconstruct", "ndarray", "dtype", "encode"):
            return _Inert
        raise DataError(f"names {module}.{name}, which no list of numbers needs")


def _lists(path: Path, file: IO[bytes], shape: Shape) -> list[list[int]]:
    """The lists of an object array, its pickle read without running anything that it names."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DataError(f"{path}: more than {MOST_BYTES:,} bytes")
    try:
        array = _Reader(io.BytesIO(data)).load()
        items = array.state[4]
        if len(shape) != 1 or not isinstance(items, list) or len(items) != shape[0]:
            raise DataError(f"its header promises shape {shape}, and the lists are not that")
        if sum(map(len, items)) * 8 > MOST_BYTES:
            raise DataError(f"its lists have more than {MOST_BYTES // 8:,} numbers")
        if not all(
            type(one) is list and all(type(token) is int and 0 <= token < 10**7 for token in one) for one in items
        ):
            raise DataError("its items are not lists of whole numbers")
    except Exception as error:  # whatever a damaged pickle leads to is a finding about the file
        raise DataError(
            f"{path}: not lists of whole numbers ({error or type(error).__name__}); get the file again"
        ) from None
    return items

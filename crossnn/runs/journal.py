"""The journal of a run, `results.jsonl`: what is finished is on disk, whatever happens next.

A finished cell is one write of all its lines, closed by its `cell` line (`Done`), and flushed to the disk. So a file
can only be torn at its end, by a process that died while writing; what has no closing line is dropped, said, and run
again by `--resume`. A cell that was run again counts once, by its last entry.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from crossnn.errors import CrossnnError
from crossnn.runs.cell import Cell, Done, Record, Training
from crossnn.runs.timed import Ceiling
from crossnn.runs.wire import Result, decode

NAME = "results.jsonl"
LOCK = ".lock"


class JournalError(CrossnnError):
    """The run folder or its journal cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """A finished cell and its records."""

    done: Done
    records: tuple[Result, ...]


@dataclass(frozen=True)
class Contents:
    """What a journal holds: the last entry of every cell, and how many bytes of the file are whole."""

    entries: tuple[Entry, ...] = ()
    size: int = 0
    dropped: str = ""

    @property
    def records(self) -> list[Record]:
        return [r for entry in self.entries for r in entry.records if isinstance(r, Record)]

    @property
    def trainings(self) -> list[Training]:
        return [r for entry in self.entries for r in entry.records if isinstance(r, Training)]

    def finished_cells(self, shas: Mapping[str, str] | None = None) -> set[str]:
        """Keys of the cells that need not run again: not those that never ran or whose process ended or hung (memory
        may have been short, or the time limit), nor those whose specification has changed since (`shas`: the present
        fingerprint of each)."""
        now = shas or {}
        return {
            entry.done.cell.key
            for entry in self.entries
            if entry.done.status == "ok"
            and all(
                isinstance(r, Ceiling) or not r.spec_sha or now.get(r.spec, r.spec_sha) == r.spec_sha
                for r in entry.records
            )
        }


def read(folder: Path) -> Contents:
    """Everything whole in the journal of a run folder."""
    path = folder / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(f"{folder} is not a run folder: it has no {NAME}") from None
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error
    return parse(data, str(path))


def parse(data: bytes, name: str = NAME) -> Contents:
    entries: dict[str, Entry] = {}
    pending: list[Result] = []
    position = whole = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break  # torn: the process died while writing it
        position += len(line)
        try:
            item = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if position == len(data) and not _is_json(line):
                break  # a disk that lost power may also leave rubbish that happens to end a line
            raise JournalError(
                f"{name}, line {number} is not a record: {error}. A journal is only ever appended to; "
                "delete that line, or start a new run"
            ) from error
        if not isinstance(item, Done):
            pending.append(item)
            continue
        entries.pop(item.cell.key, None)
        entries[item.cell.key] = Entry(item, tuple(pending))
        pending, whole = [], position
    lost = len(data) - whole
    dropped = f"{name} ended in the middle of a cell: its last {lost} bytes are dropped" if lost else ""
    return Contents(tuple(entries.values()), whole, dropped)


def _is_json(line: bytes) -> bool:
    """Whether somebody wrote this, who had something else in mind."""
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


class Journal:
    """A run folder opened for writing, by one run at a time."""

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.folder = folder
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise JournalError(_cannot(folder, error)) from error
        try:
            self._take_lock()
            self.contents = self._open(resume)
        except BaseException:
            os.close(self._lock)
            raise

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"another crossnn run is writing to {self.folder}; wait for it, or choose another folder with --out"
            ) from None
        except OSError as error:
            raise JournalError(f"cannot lock {self.folder}: {error.strerror}; choose another with --out") from error

    def _open(self, resume: bool) -> Contents:
        contents = read(self.folder) if self.path.exists() else Contents()
        if contents.entries and not resume:
            raise JournalError(
                f"{self.folder} already holds the results of {len(contents.entries)} cells; continue that run with "
                "--resume, or choose another folder with --out"
            )
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(self._file, contents.size)
        except OSError as error:
            raise JournalError(_cannot(self.folder, error)) from error
        self._size = contents.size
        return contents

    def write(self, done: Done, records: Sequence[Result]) -> None:
        """One finished cell, safe on disk when this returns; all of it or, on a full disk, nothing."""
        encoder = msgspec.json.Encoder()
        data = b"".join(encoder.encode(item) + b"\n" for item in (*records, done))
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise JournalError(
                f"cannot write to {self.path}: {error.strerror}; the cells finished so far are kept: free some space "
                f"and continue with 'crossnn run --resume --out {self.folder}'"
            ) from error
        self._size += len(data)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)  # and with it, the lock

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def remaining(cells: Sequence[Cell], finished: set[str]) -> list[Cell]:
    """The cells that are still to run."""
    return [cell for cell in cells if cell.key not in finished]


def _cannot(folder: Path, error: OSError) -> str:
    return f"cannot write results to {folder}: {error.strerror}; choose another folder with --out"

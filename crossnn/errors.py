"""Every way in which crossnn refuses.

A message says what happened, the value, what is allowed and what to do next. The command line prints the
message alone and leaves with `exit_code`; a traceback is always a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CrossnnError(Exception):
    """Something the user can mend: a wrong name, a bad file, a missing framework."""

    exit_code = 2


class FormulaError(CrossnnError):
    """A formula is outside the grammar, or (`ShapeError`) its shapes do not fit."""


class ShapeError(FormulaError):
    """Shapes do not fit: of what an operation is given, or of what is claimed to be equal."""


class SpecError(CrossnnError):
    """A specification file, table or value is not what the schema allows."""


class UnknownNameError(CrossnnError):
    """A name that is not in the catalogue or the registry."""


class BackendError(CrossnnError):
    """A backend is unknown, not installed, or lacks what was asked of it."""


class UnavailableError(BackendError):
    """A backend is installed but cannot start as asked here (no such device or dtype): NOT-RUN, no finding."""


class DataError(CrossnnError):
    """A data file of the user's is damaged, or is not the file that is wanted."""


class MissingDataError(UnavailableError):
    """Data files of the user's are not here: what needs them is NOT-RUN, no finding."""


class NothingRanError(CrossnnError):
    """Everything that was asked for was NOT-RUN: no evidence was produced."""

    exit_code = 3


def choices(names: Iterable[str], limit: int = 40) -> str:
    """The allowed names as one readable line: `a, b, c`."""
    listed = sorted(names)
    shown = ", ".join(listed[:limit])
    return f"{shown}, ... ({len(listed)} in all)" if len(listed) > limit else shown


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> str:
    """The one sentence for a name that does not exist, with the nearest one that does."""
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{guess} Known: {choices(listed) or 'none'}. {hint}".replace(
        "' Known", "'. Known"
    ).rstrip()


def first_line(error: object) -> str:
    """The first line of what an error says; empty where it says nothing."""
    return (str(error).strip().splitlines() or [""])[0]


def told(error: BaseException | None) -> str:
    """An error of anyone's code in one line: its type and the first that it says, cut where it is long."""
    return f"{type(error).__name__}: {first_line(error)[:300]}"

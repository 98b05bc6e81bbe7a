"""Anyone's code: what it raises is a message with its own words, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crossnn.errors import BackendError, told

T = TypeVar("T")


def tried(what: str, action: Callable[[], T]) -> T:
    """The result of anyone's code; what it raises becomes a message."""
    try:
        return action()
    except (Exception, SystemExit) as error:  # whatever a framework or a user throws
        raise BackendError(f"{what}: {told(error)}") from error

"""Whether a claim fails only because a constant in it was rounded when it was printed.

1.0507*x instead of 1.05070098...*x is no other formula: it is right in the digits that are printed. So every long
constant is moved by half a unit of its last digit, and what that changes is what the claim may be off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from crossnn.claims.digits import long_constants
from crossnn.claims.sheet import Claim, texts
from crossnn.claims.statement import Statement
from crossnn.claims.truth import Outcome, Trial

MOST_CONSTANTS = 8
MOST_POINTS = 60
ROOM = 1.05


def only_rounded(statement: Statement, trial: Trial, failing: Sequence[Outcome]) -> str:
    """The constants whose last digit explains every failure, as text; nothing where they do not."""
    claim = statement.claim
    constants = list(dict.fromkeys(one for text in (*texts(claim), *claim.let) for one in _constants(text)))
    if not constants or len(constants) > MOST_CONSTANTS or any(one.says != "fails" for one in failing):
        return ""
    chosen = failing[:: max(1, len(failing) // MOST_POINTS)]
    points = [one.point for one in chosen]
    before = trial.differences(points)
    room = [np.zeros_like(one) for one in before]
    for written, half in constants:
        moved = _with(claim, written, str(Decimal(written) + Decimal(half)))
        after = Trial(Statement(moved), trial.sizes, trial.reading).differences(points)
        for total, one, other in zip(room, before, after, strict=True):
            total += np.abs(other - one)
    fits = all(bool(np.all(np.abs(one) <= ROOM * free)) for one, free in zip(before, room, strict=True))
    return ", ".join(written for written, _ in constants) if fits else ""


def _constants(text: str) -> list[tuple[str, str]]:
    body = text.split("=", 1)[1] if re.match(r"\s*[A-Za-z_]\w*\s*=(?!=)", text) else text
    return long_constants(body)


def _with(claim: Claim, written: str, other: str) -> Claim:
    pattern = re.compile(rf"(?<![\w.]){re.escape(written)}(?![\w.])")
    table: Mapping[str, Any] = msgspec.to_builtins(claim)
    return msgspec.convert({key: _replaced(value, pattern, other) for key, value in table.items()}, Claim)


def _replaced(value: Any, pattern: re.Pattern[str], other: str) -> Any:
    if isinstance(value, str):
        return pattern.sub(other, value)
    if isinstance(value, list):
        return [_replaced(one, pattern, other) for one in value]
    return {key: _replaced(one, pattern, other) for key, one in value.items()} if isinstance(value, dict) else value

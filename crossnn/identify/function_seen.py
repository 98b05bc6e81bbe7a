"""What an opened function makes of the arguments through which it is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.identify.calls import flat
from crossnn.identify.function_candidates import Arguments, Domain, Settings, candidates, domain_of
from crossnn.identify.function_inputs import loss_calls, other_calls
from crossnn.identify.names import numeric

READINGS = ("as they are", "the logarithm of the prediction", "the target first")
"""What a loss is given."""


@dataclass(frozen=True)
class Seen:
    """What a function made of the calls that it takes, by domain and reading; and what it said where it takes none."""

    settings: Settings
    results: Mapping[tuple[Domain, str], tuple[tuple[Arguments, np.ndarray], ...]]
    refused: str = ""


def observe(adapter: Adapter, opened: Opened, readings: Iterable[str] = READINGS[:1]) -> Seen:
    """Everything that can be seen of it."""
    found: dict[tuple[Domain, str], tuple[tuple[Arguments, np.ndarray], ...]] = {}
    refused = ""
    for reading in readings:
        for domain in dict.fromkeys(domain_of(one.row) for one in candidates(opened.kind)):
            if reading == READINGS[1] and domain[1:2] not in (("probability",), ("simplex",)):
                continue
            try:
                found[domain, reading] = tuple(_results(adapter, opened, domain, reading))
            except Exception as error:  # whatever a framework or a user throws at a domain that it does not take
                lines = str(error).strip().splitlines() or [""]
                refused = refused or f"{type(error).__name__}: {lines[0][:300]}"
    return Seen(numeric(flat(opened.settings)), found, refused)


def _results(adapter: Adapter, opened: Opened, domain: Domain, reading: str) -> Iterable[tuple[Arguments, np.ndarray]]:
    calls = loss_calls(domain) if opened.kind == "loss" else other_calls(opened.kind)
    reduces = False
    for place, arguments in enumerate(calls):
        if place > 1 and opened.kind == "loss" and not reduces:
            return  # each number was seen already
        result = np.asarray(adapter.array(given(adapter, opened, arguments, reading)), float)
        reduces = reduces or result.shape == ()
        yield arguments, result


def given(adapter: Adapter, opened: Opened, arguments: Sequence[Any], reading: str) -> Any:
    """The function of these arguments, read in this way."""
    tensors = [adapter.tensor(one) if isinstance(one, np.ndarray) else one for one in arguments]
    if reading == READINGS[1]:
        tensors[0] = adapter.primitives["log"](tensors[0])
    return opened.native.function(*(reversed(tensors) if reading == READINGS[2] else tensors))

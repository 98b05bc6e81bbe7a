"""What an opened function makes of the arguments through which it is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.errors import BackendError, told
from crossnn.identify.calls import flat
from crossnn.identify.function_candidates import Arguments, Domain, Settings, candidates, domain_of
from crossnn.identify.function_inputs import loss_calls, metric_calls, other_calls
from crossnn.identify.names import numeric

READINGS = ("as they are", "the logarithm of the prediction", "the target first", "as one output")
"""What a loss or a metric is given."""


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
            if reading == READINGS[3] and domain[:1] != ("element",):
                continue
            if reading == READINGS[1] and domain[1:2] not in (("probability",), ("simplex",)):
                continue
            try:
                results = tuple(_results(adapter, opened, domain, reading))
                if opened.kind == "metric" and _is_constant(results):
                    refused = refused or f"{opened.native.call} says the same of every batch, whatever it is given"
                    continue
                found[domain, reading] = results
            except Exception as error:  # whatever a framework or a user throws at a domain that it does not take
                refused = refused or said(opened, error)
    return Seen(numeric(flat(opened.settings)), found, refused)


def _is_constant(results: Iterable[tuple[Arguments, np.ndarray]]) -> bool:
    values = np.concatenate([np.ravel(value) for _, value in results])
    return bool(np.all(values == values[0]) or np.isnan(values).all())


def said(opened: Opened, error: Exception) -> str:
    """What it says where it is called in a way that it does not take."""
    if isinstance(error, BackendError) and opened.native.call in str(error):
        return str(error)
    return f"{opened.native.call} cannot be called here: {told(error)}"


def _real(opened: Opened, result: Any) -> Any:
    """What was returned, which must be real numbers."""
    if result is None:
        raise BackendError(f"{opened.native.call} returns None: it must return what it computes")
    if isinstance(result, str) or "complex" in str(getattr(result, "dtype", "")):
        what = str(getattr(result, "dtype", type(result).__name__))
        raise BackendError(f"{opened.native.call} returns {what}: it must return real numbers")
    return result


def _results(adapter: Adapter, opened: Opened, domain: Domain, reading: str) -> Iterable[tuple[Arguments, np.ndarray]]:
    calls = {"loss": loss_calls, "metric": metric_calls}.get(opened.kind, lambda _: other_calls(opened.kind))(domain)
    reduces = False
    for place, arguments in enumerate(calls):
        if place > 1 and opened.kind == "loss" and not reduces:
            return  # each number was seen already
        result = np.asarray(adapter.array(_real(opened, given(adapter, opened, arguments, reading))), float)
        reduces = reduces or result.shape == ()
        yield arguments, result


def changes(adapter: Adapter, opened: Opened, seen: Seen) -> bool:
    """Whether it gives something else for the same arguments: it is random, or keeps a state."""
    for (_, reading), results in seen.results.items():
        for arguments, result in results[:1]:
            again = np.asarray(adapter.array(given(adapter, opened, arguments, reading)), float)
            return not np.array_equal(again, result, equal_nan=True)
    return False


def given(adapter: Adapter, opened: Opened, arguments: Sequence[Any], reading: str) -> Any:
    """The function of these arguments, read in this way."""
    tensors = [adapter.tensor(one) if isinstance(one, np.ndarray) else one for one in arguments]
    if reading == READINGS[1]:
        tensors[0] = adapter.primitives["log"](tensors[0])
    if reading == READINGS[3]:
        tensors = [adapter.tensor(np.reshape(adapter.array(one), (-1, 1))) for one in tensors]
    return opened.native.function(*(reversed(tensors) if reading == READINGS[2] else tensors))

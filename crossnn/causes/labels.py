"""Causes that show when labels and probabilities are changed: what a loss is given, and what it expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import Values, is_array


def logits(suspect: Suspect) -> Iterator[Trial]:
    """Probabilities where logits are meant, or the reverse; a softmax that is taken twice."""

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(-1, keepdims=True))
        return np.asarray(e / e.sum(-1, keepdims=True))

    steps: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "softmax": softmax,
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "log": np.log,
        "log(p/(1 - p))": lambda p: np.log(p / (1 - p)),
        "log_softmax": lambda z: np.log(softmax(z)),
        "exp": np.exp,
    }
    for name, one in suspect.inputs.items():
        if not (is_array(one) and one.dtype.kind == "f" and one.ndim):
            continue
        for way, function in steps.items():
            with np.errstate(all="ignore"):
                changed = function(one)
            if not np.all(np.isfinite(changed)):
                continue
            says = f"it agrees when {name!r} goes through {way} before"
            yield Trial("from logits", says, partial(suspect.mends, {name: changed}))
            says = f"the reference agrees with it when {name!r} goes through {way} before"
            yield Trial("from logits", says, partial(suspect.spoils, {name: changed}))


def smoothing(suspect: Suspect) -> Iterator[Trial]:
    """Labels mixed with equal shares of all classes. A loss is linear in its labels: the share can be computed."""
    for name, one in suspect.inputs.items():
        if not (is_array(one) and one.ndim and one.dtype.kind == "f") or np.any(one < 0) or np.any(one > 1):
            continue
        classes = one.shape[-1] if one.ndim > 1 else 2
        for way, good in (("it", False), ("the reference", True)):

            def holds(name: str = name, one: np.ndarray = one, classes: int = classes, good: bool = good) -> bool:
                for share in (0.1, 0.05, 0.2, 0.01, 0.15, 0.3):
                    mixed = {name: one * (1 - share) + share / classes}
                    if (suspect.spoils if good else suspect.mends)(mixed):
                        return True
                return False

            of = "the port smooths" if good else "only the reference smooths"
            says = f"{way} agrees when {name!r} is mixed with equal shares of {classes} classes: {of} its labels"
            yield Trial("label smoothing", says, holds)


def shares(suspect: Suspect) -> Iterator[Trial]:
    """Labels that are smoothed: the mean of the loss over all labels stays, and what depends on which one is right
    becomes smaller by one factor."""
    name = suspect.departing
    if name is None:
        return
    for of, one in suspect.inputs.items():
        for classes, shifted in _shifts(suspect, of, one):
            changes: list[Values] = [{of: shifted(by)} for by in range(classes)]
            right, here = (np.stack([run(each)[name] for each in changes]) for run in (suspect.good, suspect.bad))
            if right.shape != here.shape or not np.all(suspect.close(name, here.mean(0), right.mean(0))):
                continue
            right, here = right - right.mean(0), here - here.mean(0)
            factor = float(np.sum(here * right) / np.sum(right * right))
            same = np.allclose(here, factor * right, rtol=0, atol=1e-10 * float(np.abs(right).max()))
            says = (
                f"what depends on which of {classes} labels {of!r} names is {factor:.6g} times the reference's, and "
                "the mean over all labels is the same: another share of the labels is smoothed"
            )
            if same and factor > 0 and abs(factor - 1) > 1e-9:
                yield Trial("label smoothing", says, lambda: True, pattern=True)


def _shifts(suspect: Suspect, of: str, one: Any) -> Iterator[tuple[int, Callable[[int], np.ndarray]]]:
    """How many classes labels may have, and the labels with every class replaced by one that is so far behind it."""
    if not is_array(one) or not one.ndim:
        return
    if one.dtype.kind in "iu" and np.all(one >= 0):
        floats = [other for other in suspect.values.values() if is_array(other) and other.dtype.kind == "f"]
        for classes in sorted({length for other in floats for length in other.shape if one.max() < length <= 32}):
            yield classes, partial(_behind, one, classes)
    elif one.dtype.kind == "f" and one.ndim > 1 and one.shape[-1] <= 32 and np.allclose(one.sum(-1), 1):
        yield one.shape[-1], lambda by: np.roll(one, by, -1)


def _behind(labels: np.ndarray, classes: int, by: int) -> np.ndarray:
    return np.asarray((labels + by) % classes)

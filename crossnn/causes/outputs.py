"""Causes that show in the results: shapes, borders, sums, zeros, running statistics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from crossnn.causes.inputs import places
from crossnn.causes.suspect import Suspect, Trial
from crossnn.formula.numpy_meaning import erf
from crossnn.ports.port import is_array


def pattern(name: str, says: str, seen: bool) -> Iterator[Trial]:
    if seen:
        yield Trial(name, says, lambda: True, pattern=True)


def departing(suspect: Suspect) -> tuple[str, np.ndarray, np.ndarray]:
    """The first result that differs: its name, what it is, what it should be."""
    name = suspect.departing
    if name is None or suspect.actual is None:
        raise ValueError("no result differs")
    return name, suspect.actual[name], suspect.expected[name]


def random(suspect: Suspect) -> Iterator[Trial]:
    says = "two calls with the same arguments differ: dropout or other random numbers are on"
    yield Trial("training or inference", says, lambda: suspect.actual is not None and not _same(suspect))


def _same(suspect: Suspect) -> bool:
    again = suspect.bad({})
    return all(np.array_equal(one, again[name], equal_nan=True) for name, one in (suspect.actual or {}).items())


def shapes(suspect: Suspect) -> Iterator[Trial]:
    """Results of another shape: a part of the right one, its terms before a reduction, or the same with other axes."""
    name, actual, expected = departing(suspect)
    if expected.shape == () and actual.size > 1:
        for way, one in (("mean", actual.mean()), ("sum", actual.sum())):
            says = f"it returns {actual.shape}; the {way} of it is the reference's number"
            yield from pattern("reduction", says, bool(np.all(suspect.close(name, one, expected))))
    if actual.shape == () and expected.size > 1:
        for way, one in (("mean", expected.mean()), ("sum", expected.sum())):
            says = f"it returns one number, the {way} of what the reference returns"
            yield from pattern("reduction", says, bool(np.all(suspect.close(name, one, actual))))
    if actual.ndim == expected.ndim and actual.shape != expected.shape:
        parts = itertools.chain(places(suspect, name, expected, actual), places(suspect, name, actual, expected))
        says = f"its shape is {actual.shape} instead of {expected.shape}; one is a part of the other"
        yield from pattern("padding", says, any(True for _ in parts))
    if sorted(actual.shape) == sorted(expected.shape):
        for order in list(itertools.permutations(range(actual.ndim)))[1:]:
            moved = actual.transpose(order)
            says = f"it agrees when the axes of its result {name!r} are put in the order {order}"
            if moved.shape == expected.shape:
                yield from pattern("channel order", says, bool(np.all(suspect.close(name, moved, expected))))


def softmax_axis(suspect: Suspect) -> Iterator[Trial]:
    """Results that sum to 1 along another axis, as they are or after an exponential."""
    _, actual, expected = departing(suspect)
    for way, one, other in (("sums", actual, expected), ("sums of exponentials", np.exp(actual), np.exp(expected))):
        axes = [
            [axis for axis in range(array.ndim) if np.allclose(array.sum(axis), 1, rtol=0, atol=1e-9)]
            for array in (one, other)
        ]
        says = f"its {way} are 1 along axis {axes[0]}, the reference's along axis {axes[1]}"
        yield from pattern("softmax axis", says, bool(axes[0] and axes[1] and axes[0] != axes[1]))


def running_statistics(suspect: Suspect) -> Iterator[Trial]:
    """Results that are a mixture of an input and a statistic of another one: which shares have they?"""
    name, actual, expected = departing(suspect)
    for (given, old), (of, x) in itertools.product(suspect.values.items(), suspect.inputs.items()):
        if not (is_array(old) and is_array(x) and old.shape == expected.shape == actual.shape and x.ndim >= 2):
            continue
        for axis in {1, x.ndim - 1}:
            others = tuple(place for place in range(x.ndim) if place != axis)
            for what, statistic in (("mean", x.mean(others)), ("variance", x.var(others))):
                if statistic.shape != old.shape or old.size < 3:
                    continue
                right, here = (_shares(one, old, statistic) for one in (expected, actual))
                if right is None or here is None:
                    continue
                count = x.size // statistic.size
                if abs(right[0] - here[0]) > 1e-9:
                    says = (
                        f"{name!r} keeps {here[0]:.6g} of {given!r} and takes {here[1]:.6g} of the {what} of {of!r}, "
                        f"where the reference keeps {right[0]:.6g} and takes {right[1]:.6g}"
                    )
                    yield from pattern("batch-norm momentum", says, True)
                    continue
                by = here[1] / right[1]
                for biased, which in ((count / (count - 1), "it"), ((count - 1) / count, "the reference")):
                    says = f"{name!r}: {which} divides the {what} of {count} numbers by {count - 1}"
                    yield from pattern("biased variance", says, abs(by - biased) < 1e-9)


def _shares(result: np.ndarray, old: np.ndarray, statistic: np.ndarray) -> tuple[float, float] | None:
    design = np.stack([old.reshape(-1), statistic.reshape(-1)], 1)
    shares, *_ = np.linalg.lstsq(design, result.reshape(-1), rcond=None)
    exact = np.allclose(design @ shares, result.reshape(-1), rtol=1e-10, atol=1e-12)
    return (float(shares[0]), float(shares[1])) if exact else None


def dropped(suspect: Suspect) -> Iterator[Trial]:
    """Some elements are 0, all others are larger by one factor."""
    name, actual, expected = departing(suspect)
    if actual.shape != expected.shape:
        return
    lost = (actual == 0) & (expected != 0)
    kept = ~lost & (expected != 0)
    if not np.any(lost) or not np.any(kept):
        return
    factor = float(np.median(actual[kept] / expected[kept]))
    same = np.allclose(actual[kept], factor * expected[kept], rtol=1e-9, atol=0)
    says = f"{int(lost.sum())} of {lost.size} elements of {name!r} are 0, the others {factor:.6g} times too large"
    yield from pattern("training or inference", says, bool(same and factor >= 1))


def activation(suspect: Suspect) -> Iterator[Trial]:
    """One gelu where another is meant."""
    name, actual, expected = departing(suspect)
    for given, x in suspect.inputs.items():
        if not is_array(x) or x.shape != expected.shape:
            continue
        x = x.astype(np.float64)
        forms = {
            "exact": x * 0.5 * (1 + erf(x / math.sqrt(2))),
            "tanh": 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
            "sigmoid": x / (1 + np.exp(-1.702 * x)),
        }
        for (one, here), (other, there) in itertools.permutations(forms.items(), 2):
            seen = np.all(suspect.close(name, actual, here)) and np.all(suspect.close(name, expected, there))
            says = f"it is the {one} form of gelu({given}), the reference is the {other} form"
            yield from pattern("approximate gelu", says, bool(seen))


def pieces(suspect: Suspect) -> Iterator[Trial]:
    """A function of one input, element by element, of which a straight piece is steeper or less steep."""
    name, actual, expected = departing(suspect)
    if actual.shape != expected.shape:
        return
    differs = ~suspect.close(name, actual, expected)
    for given, x in suspect.inputs.items():
        if not is_array(x) or x.shape != expected.shape or x.dtype.kind != "f" or np.sum(differs) < 4:
            continue
        near = differs & (np.abs(x) <= np.median(np.abs(x[differs])))
        lines = [_line(x[near], one[near]) for one in (actual, expected)]
        whole = [_line(x, one) for one in (actual, expected)]
        if None in lines or None not in whole:
            continue
        here, there = (f"{one[0]:.6g}*{given} + {one[1]:.6g}" for one in lines if one is not None)
        yield from pattern("activation slope", f"where they differ near 0 it is {here}, the reference {there}", True)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """y = a*x + b, where that is so for all of three points or more."""
    if len(np.unique(x)) < 3:
        return None
    design = np.stack([x.reshape(-1), np.ones(x.size)], 1)
    found, *_ = np.linalg.lstsq(design, y.reshape(-1), rcond=None)
    straight = np.allclose(design @ found, y.reshape(-1), rtol=1e-9, atol=1e-12)
    return (float(found[0]), float(found[1])) if straight else None


def border(suspect: Suspect) -> Iterator[Trial]:
    """Only elements at the border of the spatial axes differ."""
    name, actual, expected = departing(suspect)
    if actual.shape != expected.shape or actual.ndim < 3:
        return
    differs = ~suspect.close(name, actual, expected)
    for spatial in (range(1, actual.ndim - 1), range(2, actual.ndim), range(1, actual.ndim)):
        for width in (1, 2, 3):
            inner = tuple(slice(width, -width) if axis in spatial else slice(None) for axis in range(actual.ndim))
            if differs[inner].size and not np.any(differs[inner]):
                says = f"only elements of {name!r} within {width} of a border differ: what is put around it is another"
                yield from pattern("padding", says, True)

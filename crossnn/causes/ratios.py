"""Causes that show as one ratio between all numbers: signs, factors, reductions; of gradients too."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator

import numpy as np

from crossnn.causes.outputs import departing, pattern
from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import is_array

EXACT = 1e-11
"""Ratios that differ less than this, relatively, are one ratio."""


def constant_ratio(actual: np.ndarray, expected: np.ndarray) -> float | None:
    """actual/expected, where it is the same number everywhere and not 1."""
    if actual.shape != expected.shape or not actual.size:
        return None
    both_zero = (actual == 0) & (expected == 0)
    if np.all(both_zero) or np.any((expected == 0) != (actual == 0)):
        return None
    ratios = actual[~both_zero] / expected[~both_zero]
    one = float(ratios.flat[np.argmax(np.abs(expected[~both_zero]))])
    size = np.abs(expected).max()
    alike = np.all(np.abs(actual - one * expected) <= EXACT * abs(one) * (np.abs(expected) + 1e-3 * size))
    return one if bool(alike) and abs(one - 1) > EXACT and math.isfinite(one) else None


def explained(suspect: Suspect, ratio: float) -> tuple[str, str] | None:
    """What a ratio means: (cause, text)."""
    if abs(ratio + 1) < EXACT:
        return "sign", "everything has the other sign"
    size = abs(ratio)
    shapes = {name: one.shape for name, one in suspect.values.items() if is_array(one)}
    lengths = sorted({length for shape in shapes.values() for length in shape if length > 1})
    counts = {length: f"{length}, a length of the arrays" for length in lengths}
    for shape in shapes.values():
        for count in range(2, len(shape) + 1):
            for part in itertools.combinations(shape, count):
                counts.setdefault(math.prod(part), " x ".join(map(str, part)))
    sign = " with the other sign" if ratio < 0 else ""
    for factor in (2, 0.5):
        if abs(size / factor - 1) < EXACT:
            also = f"; a length of the arrays is {factor:g} too" if factor in counts else ""
            return "factor", f"everything is {factor:g} times what it should be{sign}{also}"
    for count, text in counts.items():
        if abs(size / count - 1) < EXACT:
            return "reduction", f"it is {count} times too large ({text}): a sum where the reference has a mean{sign}"
        if abs(size * count - 1) < EXACT:
            return "reduction", f"it is {count} times too small ({text}): a mean where the reference has a sum{sign}"
        for power, what in ((1, "variance"), (0.5, "standard deviation")):
            for biased in ((count / (count - 1)) ** power, ((count - 1) / count) ** power):
                if abs(size / biased - 1) < EXACT and _speaks_of_variance(suspect):
                    return "biased variance", f"the ratio {size:.6g} is that of a {what} by {count} and by {count - 1}"
    for base in (2, 10):
        if min(abs(size * math.log(base) - 1), abs(size / math.log(base) - 1)) < EXACT:
            return "base of the logarithm", f"the ratio {size:.6g} is that of a logarithm to base {base} and to base e"
    for factor in (4, 0.25):
        if abs(size / factor - 1) < EXACT:
            return "factor", f"everything is {factor:g} times what it should be{sign}"
    return None


VARIANCES = ("var", "std", "cov", "variance", "moments", "deviation", "norm", "statistics")
"""Words, or beginnings of words, of what has a variance."""


def _speaks_of_variance(suspect: Suspect) -> bool:
    """Whether one of the two names a variance, or divides by n - 1."""
    from crossnn.causes.names import words
    from crossnn.causes.objects import names_behind
    from crossnn.causes.sources import source_of

    for runner in (suspect.runner, suspect.right):
        source = source_of(runner)
        trees = source.trees if source is not None else ()
        said = {word for tree in trees for word in words(tree)} or names_behind(runner.port.function)
        if any(word.startswith(VARIANCES) or "norm" in word for word in said):
            return True
        if any(_by_one_less(one) for tree in trees for one in ast.walk(tree)):
            return True
    return False


def _by_one_less(node: ast.AST) -> bool:
    by = node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else None
    return isinstance(by, ast.BinOp) and isinstance(by.op, ast.Sub) and ast.unparse(by.right) == "1"


def ratio(suspect: Suspect) -> Iterator[Trial]:
    name, actual, expected = departing(suspect)
    found = constant_ratio(actual, expected)
    meaning = explained(suspect, found) if found is not None else None
    if meaning is not None:
        yield from pattern(meaning[0], f"{name!r} is {found:.10g} times the reference's: {meaning[1]}", True)


def ratio_of_update(suspect: Suspect) -> Iterator[Trial]:
    """A result that is an input changed: the ratio of the changes."""
    name, actual, expected = departing(suspect)
    for given, before in suspect.values.items():
        if is_array(before) and before.shape == expected.shape and before.ndim:
            found = _rough_ratio(actual - before, expected - before)
            meaning = explained(suspect, found) if found is not None else None
            if meaning is not None:
                says = f"the change from {given!r} to {name!r} is {found:.10g} times the reference's: {meaning[1]}"
                yield from pattern(meaning[0], says, True)


def _rough_ratio(actual: np.ndarray, expected: np.ndarray) -> float | None:
    """Differences of numbers have fewer digits than the numbers: the ratio is rounded to what was meant."""
    if not np.all(expected) or not np.all(actual):
        return None
    ratios = actual / expected
    one = float(np.median(ratios))
    if np.max(np.abs(ratios - one)) > 1e-6 * abs(one) or abs(one - 1) < 1e-6:
        return None
    near = [sign * value for sign in (1, -1) for value in (1, 2, 0.5, 4, 0.25) if abs(one / (sign * value) - 1) < 1e-6]
    return near[0] if near else one


def slope(suspect: Suspect) -> Iterator[Trial]:
    """Only negative results differ, all by one factor."""
    name, actual, expected = departing(suspect)
    if actual.shape != expected.shape:
        return
    differs = ~suspect.close(name, actual, expected)
    if np.all(expected[differs] < 0) and np.any(expected > 0):
        found = constant_ratio(actual[differs], expected[differs])
        if found is not None and found > 0:
            says = f"only negative elements of {name!r} differ, all by the factor {found:.6g}"
            yield from pattern("activation slope", says, True)


def gradient_ratio(suspect: Suspect) -> Iterator[Trial]:
    """Values agree, gradients do not: zero, or a constant ratio."""
    if not suspect.only_gradient:
        return
    found = suspect.runner.gradients(suspect.values, suspect.wrt, suspect.truth.cotangents)
    for name, actual in found.items():
        expected = np.asarray(suspect.truth.gradients[name], np.float64)
        known = ~np.isnan(expected)
        if np.any(expected[known] != 0) and not np.any(actual):
            yield from pattern("detached", f"no gradient arrives at {name!r}: it, or what it makes, is detached", True)
        one = _rough_ratio(actual[known], expected[known])
        meaning = explained(suspect, one) if one is not None else None
        if meaning is not None:
            yield from pattern(meaning[0], f"the gradient of {name!r} is {one:.6g} times what it should be", True)

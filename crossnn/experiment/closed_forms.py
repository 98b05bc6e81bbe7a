"""Where a training must arrive, computed without training, in arbitrary precision.

Each is what the network says about a few inputs: a linear network is known by its answers to zero and to the unit
vectors, so that the same truth serves one layer, and two layers that collapse into one.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np

from crossnn.errors import SpecError
from crossnn.formula.shapes import Shape

DIGITS = 60
MOST_FEATURES = 64


def unit_inputs(shape: Shape) -> np.ndarray:
    """Zero, then one feature at a time: the answers of a linear network are its bias, and its bias plus each weight."""
    size = math.prod(shape)
    return np.vstack([np.zeros((1, size)), np.eye(size)]).reshape(-1, *shape)


def least_squares(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The answers to `unit_inputs` of the linear function of least mean squared error (normal equations, S2-06)."""
    features = x.reshape(len(x), -1)
    if features.shape[1] > MOST_FEATURES or t.ndim != 2:
        raise SpecError(
            f'closed_form = "least_squares": {features.shape[1]} features, targets of shape {t.shape[1:]}; at most '
            f"{MOST_FEATURES} features, and one row of numbers a sample"
        )
    with mpmath.workdps(DIGITS):
        design = np.hstack([np.ones((len(x), 1)), features])
        products = mpmath.matrix(_exact(design.T, design))
        right = mpmath.matrix(_exact(design.T, t))
        try:
            solved = mpmath.lu_solve(products, right) if t.shape[1] == 1 else products**-1 * right
        except ZeroDivisionError:
            raise SpecError(
                'closed_form = "least_squares": the features depend on each other: no unique best'
            ) from None
        weights = np.array([[float(solved[i, j]) for j in range(t.shape[1])] for i in range(design.shape[1])])
        answers = [[solved[0, j] for j in range(t.shape[1])]]
        answers += [[solved[0, j] + solved[i, j] for j in range(t.shape[1])] for i in range(1, len(weights))]
        return np.array([[float(one) for one in row] for row in answers])


def _exact(left: np.ndarray, right: np.ndarray) -> list[list[mpmath.mpf]]:
    """A product of matrices of float64, without rounding."""
    return [[mpmath.fdot(zip(map(float, row), map(float, column), strict=True)) for column in right.T] for row in left]


def frequencies(x: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different inputs, and for each the logit of the share of positive targets among its samples: what logistic
    regression answers where it has a parameter for every input."""
    distinct, which = np.unique(x.reshape(len(x), -1), axis=0, return_inverse=True)
    logits = []
    for group in range(len(distinct)):
        positive, total = int(t[which.ravel() == group].sum()), int(np.sum(which.ravel() == group))
        if not 0 < positive < total:
            raise SpecError(
                f'closed_form = "frequencies": {positive} of {total} samples at {distinct[group].tolist()} are '
                "positive; the best logit is infinite"
            )
        with mpmath.workdps(DIGITS):
            logits.append(float(mpmath.log(mpmath.mpf(positive) / (total - positive))))
    return distinct.reshape(-1, *x.shape[1:]), np.array(logits)[:, None]

"""Data sets: real ones from installed packages, synthetic ones drawn from a seed. Everything fits float32 exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crossnn.errors import CrossnnError, SpecError, unknown
from crossnn.formula.shapes import Shape


@dataclass(frozen=True)
class Data:
    """Inputs and targets, split into training and held-out samples."""

    x: np.ndarray
    t: np.ndarray
    held_out_x: np.ndarray
    held_out_t: np.ndarray


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998), grey levels scaled to [0, 1]."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise CrossnnError(
            "data 'digits' comes with scikit-learn, not installed here: pip install scikit-learn"
        ) from None
    bunch = load_digits()
    return bunch.images / 16.0, bunch.target


def digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which digit is it? One-hot over ten classes."""
    images, labels = _digits()
    return images, np.eye(10)[labels]


def digits_even(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Is the digit even?"""
    images, labels = _digits()
    return images, (labels % 2 == 0).astype(np.float64)[:, None]


def xor(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The four points of exclusive or, forty times."""
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    x = np.tile(corners, (40, 1))
    return x, (x.sum(axis=1) == 1).astype(np.float64)[:, None]


def linear4(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A linear function of four standard normal arguments, with noise of standard deviation 0.1."""
    generator = np.random.default_rng([seed, 4])
    x = _single(generator.normal(size=(800, 4)))
    t = x @ np.array([[1.5], [-2.0], [0.5], [3.0]]) + 0.1 * generator.normal(size=(800, 1))
    return x, _single(t)


def quadratic4(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A quadratic form of four arguments, uniform on [-1, 1]."""
    generator = np.random.default_rng([seed, 44])
    x = _single(generator.uniform(-1, 1, (1200, 4)))
    form = np.array([[1, 0.5, 0, 0], [0.5, -1, 0.25, 0], [0, 0.25, 0.5, -0.5], [0, 0, -0.5, 0.75]])
    return x, _single(np.einsum("ni,ij,nj->n", x, form, x)[:, None])


SETS: Mapping[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = {
    "digits": digits,
    "digits_even": digits_even,
    "xor": xor,
    "linear4": linear4,
    "quadratic4": quadratic4,
}
"""Name -> function of the seed."""


def load_data(name: str, seed: int, held_out: float, shape: Shape) -> Data:
    """A data set with samples of `shape`, shuffled by the seed; the last `held_out` share is never trained on."""
    if name not in SETS:
        raise SpecError(unknown("data", name, SETS))
    x, t = SETS[name](seed)
    if x[0].size != np.prod(shape):
        raise SpecError(f"data {name!r} has samples of shape {x[0].shape}; the network takes {tuple(shape)}")
    order = np.random.default_rng([seed, 1]).permutation(len(x))
    x, t = x[order].reshape(len(x), *shape), t[order]
    cut = round(len(x) * (1 - held_out))
    return Data(x[:cut], t[:cut], x[cut:], t[cut:])

"""The digits that scikit-learn ships: 1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998).

The shape of a sample is the network's choice: 64 numbers, an image of 8 x 8 x 1, or a sequence of 8 rows of 8 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossnn.errors import CrossnnError
from crossnn.experiment.samples import Request, Samples, Source


def _load() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels scaled to [0, 1], and labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise CrossnnError(
            "data 'digits' comes with scikit-learn, not installed here: pip install scikit-learn"
        ) from None
    bunch = load_digits()
    return bunch.images / 16.0, bunch.target


def digits(request: Request) -> Samples:
    """Which digit is it?"""
    images, labels = _load()
    return Samples(images, labels, classes=10)


def digits_even(request: Request) -> Samples:
    """Is the digit even?"""
    images, labels = _load()
    return Samples(images, (labels % 2 == 0).astype(np.int64), classes=2)


def digits_pixels(request: Request) -> Samples:
    """The image itself is the target, as 64 numbers: for autoencoders."""
    images, _ = _load()
    return Samples(images, images.reshape(len(images), -1))


SETS: Mapping[str, Source] = {"digits": digits, "digits_even": digits_even, "digits_pixels": digits_pixels}

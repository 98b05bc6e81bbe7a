"""Data: a set by its name, its targets as the loss wants them, shuffled, split and normalised. Fits float32 exactly.

Where sets come from is written elsewhere: drawn from a seed (`synthetic.py`, `sequences.py`), embedded (`digits.py`),
or read from files that the user has (`files.py`). Nothing is ever downloaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from crossnn.catalogue.rows import Domain
from crossnn.errors import SpecError, unknown
from crossnn.experiment import digits, images, reviews, sequences, synthetic
from crossnn.experiment.samples import Request, Samples, Source, single
from crossnn.formula.shapes import Shape

SETS: Mapping[str, Source] = {
    **digits.SETS,
    **synthetic.SETS,
    **sequences.SETS,
    **images.SETS,
    **reviews.SETS,
}
"""Name -> where the samples come from."""


@dataclass(frozen=True)
class Data:
    """Inputs and targets, split into training and held-out samples."""

    x: np.ndarray
    t: np.ndarray
    held_out_x: np.ndarray
    held_out_t: np.ndarray


def load_data(
    name: str,
    seed: int,
    held_out: float,
    shape: Shape,
    *,
    target: Domain = "real",
    tokens: int = 0,
    normalise: bool = False,
    samples: int = 0,
) -> Data:
    """A data set with samples of `shape`, its training part shuffled by the seed.

    The last `held_out` share is never trained on; a set with a test part of its own holds that out instead. `target`
    is what the loss wants of class labels, `tokens` the number of different tokens that the network knows (0: the
    inputs are numbers), `normalise` standardises every feature by the training samples, `samples` takes the first of
    them only."""
    if name not in SETS:
        raise SpecError(unknown("data", name, SETS))
    found = SETS[name](Request(seed, tuple(shape), tokens, samples))
    if found.x[0].size != math.prod(shape):
        raise SpecError(f"data {name!r} has samples of shape {found.x[0].shape}; the network takes {tuple(shape)}")
    _check_tokens(name, found, tokens)
    x, t = found.x.reshape(len(found.x), *shape), _targets(name, found, target)
    train = len(x) - found.test
    kept = min(samples or train, train)
    order = np.random.default_rng([seed, 1]).permutation(kept)
    cut = kept if found.test else round(kept * (1 - held_out))
    rest = np.arange(train, len(x)) if found.test else order[cut:]
    data = Data(x[order[:cut]], t[order[:cut]], x[rest], t[rest])
    return _standardised(data) if normalise else data


def _check_tokens(name: str, found: Samples, tokens: int) -> None:
    whole = np.issubdtype(found.x.dtype, np.integer)
    if whole and not tokens:
        raise SpecError(
            f"data {name!r} has tokens; the network must say how many different ones: tokens = {found.tokens}"
        )
    if tokens and not whole:
        raise SpecError(f"data {name!r} has numbers, and the network takes tokens; leave out tokens = {tokens}")
    if whole and found.x.max(initial=0) >= tokens:
        raise SpecError(
            f"data {name!r} has tokens up to {found.x.max()}; the network knows {tokens}: tokens = {found.tokens}"
        )


def _targets(name: str, found: Samples, target: Domain) -> np.ndarray:
    """Class labels in the form that the loss takes; numbers as they are."""
    t, classes = found.t, found.classes
    if not classes:
        if target in ("one_hot", "label", "simplex"):
            raise SpecError(f"data {name!r} has numbers as targets; the loss wants classes ({target})")
        return t
    if target == "label":
        return t
    if target in ("binary", "sign", "probability") or (target == "real" and classes == 2):
        if classes != 2:
            raise SpecError(f"data {name!r} has {classes} classes; the loss knows two ({target})")
        return (2.0 * t - 1 if target == "sign" else t.astype(np.float64))[..., None]
    one_hot: np.ndarray = np.eye(classes)[t]
    return one_hot


def _standardised(data: Data) -> Data:
    """Minus the mean, divided by the standard deviation: of the training samples, for the held-out ones too."""
    if np.issubdtype(data.x.dtype, np.integer):
        raise SpecError("normalise = true: tokens are names, not sizes; leave it out")
    mean, deviation = data.x.mean(axis=0), data.x.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)  # a feature that never changes stays at zero
    return replace(data, x=single((data.x - mean) / scale), held_out_x=single((data.held_out_x - mean) / scale))

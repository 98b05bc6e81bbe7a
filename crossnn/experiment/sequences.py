"""Sets of token sequences that are drawn from a seed: small tasks, each of which needs one ability of a network.

Tokens are whole numbers, and labels too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossnn.experiment.samples import Request, Samples, Source

SAMPLES = 480


def first_token(request: Request) -> Samples:
    """Eight tokens; which was the first? Needs memory over the whole sequence."""
    generator = np.random.default_rng([request.seed, 20])
    x = generator.integers(0, 4, (SAMPLES, 8))
    return Samples(x, x[:, 0], classes=4, tokens=4)


def parity(request: Request) -> Samples:
    """Six bits; is the number of ones odd? Every bit counts, and none alone says anything."""
    generator = np.random.default_rng([request.seed, 21])
    x = generator.integers(0, 2, (SAMPLES, 6))
    return Samples(x, x.sum(axis=1) % 2, classes=2, tokens=2)


def copy(request: Request) -> Samples:
    """A random word of three tokens, over and over; what comes next, at each of eight places? From the fourth token
    on it is what stood three places before: needs a look back, and shows a mask that lets the future through."""
    generator = np.random.default_rng([request.seed, 22])
    text = np.tile(generator.integers(0, 6, (SAMPLES, 3)), (1, 3))
    return Samples(text[:, :-1], text[:, 1:], classes=6, tokens=6)


def sentiment(request: Request) -> Samples:
    """A tiny corpus of two classes: twelve words a text, of a vocabulary of forty whose first ten words are twice as
    frequent in one class and whose next ten in the other. The order of the words means nothing."""
    generator = np.random.default_rng([request.seed, 23])
    labels = np.arange(SAMPLES) % 2
    frequencies = np.ones((2, 40))
    frequencies[0, :10] = frequencies[1, 10:20] = 2.0
    frequencies[0, 10:20] = frequencies[1, :10] = 0.5
    frequencies /= frequencies.sum(axis=1, keepdims=True)
    x = np.stack([generator.choice(40, 12, p=frequencies[label]) for label in labels])
    return Samples(x, labels, classes=2, tokens=40)


SETS: Mapping[str, Source] = {"first_token": first_token, "parity": parity, "copy": copy, "sentiment": sentiment}

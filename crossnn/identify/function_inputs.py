"""The arguments through which a function is seen.

A loss on every domain for which the catalogue has losses, one pair at a time and as a batch, so that what it makes of a
batch is found too; a metric on batches of every domain, also without variety; an activation through one array, a
regularizer or a constraint through several.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from crossnn.identify.function_candidates import Arguments, Domain
from crossnn.parity import inputs

PAIRS, ROWS, CLASSES = 24, 12, 6
"""So many pairs of numbers, so many samples of so many classes."""


@cache
def loss_calls(domain: Domain) -> tuple[Arguments, ...]:
    """A batch of single numbers (or samples), a batch that is wider, and each pair alone."""
    acts_on, prediction, target = domain
    generator = inputs.generator_for("identify", *domain)
    wide = (ROWS, CLASSES) if acts_on == "vector" else (PAIRS // 4, 4)
    if isinstance(target, tuple):
        whole: Arguments = tuple(inputs.single(generator.normal(0, 1, wide)) for _ in range(1 + len(target)))
        return (whole, whole, *_alone(whole))
    y, t = inputs.domain(generator, prediction, wide), inputs.domain(generator, target, wide)
    if prediction == target == "real":
        sizes = generator.permutation(10.0 ** np.linspace(-4, 1.2, PAIRS if acts_on == "element" else ROWS * CLASSES))
        distance = sizes.reshape(wide) * generator.choice([-1.0, 1.0], wide)
        y = inputs.hostile(generator, wide, -1, 1)
        t = inputs.single(y - distance)
    elif prediction == "real":
        y = inputs.single(generator.normal(0, 3, wide))
    if target == "simplex":
        t[0, 0], t[0, 1] = 0.0, t[0, 0] + t[0, 1]
    if acts_on == "vector" and prediction == "simplex":  # certain predictions, right and wrong
        y = np.concatenate([y, np.eye(CLASSES)[[0, 0]]])
        t = np.concatenate([t, np.array([0, 1]) if target == "label" else np.eye(CLASSES)[[0, 1]]])
    if acts_on == "vector":
        return ((y, t), (y[:ROWS], t[:ROWS]), *_alone((y, t)))
    tall = (y.reshape(-1, 1), t.reshape(-1, 1))
    if prediction == "probability" and target == "binary":
        ends = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
        tall = (np.concatenate([tall[0], ends[0]]), np.concatenate([tall[1], ends[1]]))
    return (tall, (y, t), *_alone(tall))


def _alone(arguments: Arguments) -> list[Arguments]:
    return [tuple(one[k : k + 1] for one in arguments) for k in range(len(arguments[0]))]


@cache
def metric_calls(domain: Domain) -> tuple[Arguments, ...]:
    """Batches as they come, one of which nothing is right, one of one class alone, and predictions next to the usual
    thresholds."""
    acts_on, prediction, target = domain
    generator = inputs.generator_for("identify", "metric", *domain)
    shape = (ROWS, CLASSES) if acts_on == "vector" else (ROWS, 4)
    found: list[Arguments] = []
    for _ in range(4):
        y, t = inputs.domain(generator, prediction, shape), inputs.domain(generator, target, shape)
        if prediction == "real":
            y = inputs.single(generator.normal(0, 1.5, shape))
            t = inputs.single(generator.normal(0, 1.5, shape)) if target == "real" else t
        found.append((y, t))
    y, t = found[-1]
    if prediction == "probability":
        y = inputs.single(np.clip(generator.choice([0.25, 0.5, 0.75], shape) + generator.normal(0, 0.1, shape), 0, 1))
        y[0, :3] = 0.5
        found.append((y, t))
    if prediction == "probability" or acts_on == "vector":
        low = inputs.single(np.linspace(0.0, 0.2, shape[0] * shape[1]).reshape(shape))
        none = np.zeros_like(t) if target != "one_hot" else np.eye(CLASSES)[np.zeros(ROWS, int)]
        found.append((low, none))
    return tuple(found)


@cache
def other_calls(kind: str) -> tuple[Arguments, ...]:
    """The arrays for activations and regularizers."""
    generator = inputs.generator_for("identify", kind)
    if kind == "constraint":
        w = inputs.hostile(generator, (CLASSES, 5), -3, 1)
        w[:, 0], w[:, 1] = w[:, 0] * 1e-3, 0.0  # a column within any limit, and one without length
        return ((inputs.single(w),), (inputs.single(generator.normal(0, 1, (7, 4))),))
    if kind == "regularizer":
        return tuple((inputs.single(generator.normal(0, 2, (4, 3))),) for _ in range(6))
    near = np.array([-6.5, -3.2, -2.6, -2.2, -1.2, -0.8, -0.6, -0.4, -0.1, 0.0, 0.1, 0.4, 0.6, 0.8, 1.2, 2.2, 2.6, 3.2,
                     6.5, 19.5, 20.5, -1.0, 1.0, -20.5])  # fmt: skip
    values = [near, generator.normal(0, 2, 48), generator.uniform(-12, 12, 36), inputs.hostile(generator, (36,), -6, 1)]
    return ((inputs.single(np.concatenate(values)).reshape(-1, CLASSES),),)

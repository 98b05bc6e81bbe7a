"""Sets of numbers that are drawn from a seed: truth tables, point clouds, and functions of many arguments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from crossnn.experiment.samples import Request, Samples, Source, single

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def _table(x: np.ndarray, labels: np.ndarray) -> Samples:
    """A truth table; the same rows are trained on and tested."""
    return Samples(np.tile(x, (2, 1)), np.tile(labels.astype(np.int64), 2), classes=2, test=len(x))


def truth_and(request: Request) -> Samples:
    return _table(CORNERS, CORNERS.sum(axis=1) == 2)


def truth_or(request: Request) -> Samples:
    return _table(CORNERS, CORNERS.sum(axis=1) >= 1)


def truth_xor(request: Request) -> Samples:
    return _table(CORNERS, CORNERS.sum(axis=1) == 1)


def truth_not(request: Request) -> Samples:
    x = np.array([[0.0], [1.0]])
    return _table(x, x[:, 0] == 0)


def xor(request: Request) -> Samples:
    """The four points of exclusive or, forty times."""
    x = np.tile(CORNERS, (40, 1))
    return Samples(x, (x.sum(axis=1) == 1).astype(np.int64), classes=2)


def blobs(request: Request) -> Samples:
    """Two clouds of points in the plane, a wide gap between them: one straight line separates them."""
    generator = np.random.default_rng([request.seed, 2])
    labels = np.arange(160) % 2
    radius, angle = generator.uniform(0, 1, 160), generator.uniform(0, 2 * np.pi, 160)
    cloud = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Samples(single(cloud + np.where(labels[:, None] == 1, 1.5, -1.5)), labels, classes=2)


def moons(request: Request) -> Samples:
    """Two half circles that reach into each other, with noise of standard deviation 0.12: no straight line, and no
    single ring, separates them."""
    generator = np.random.default_rng([request.seed, 8])
    labels = np.arange(250) % 2
    angle = generator.uniform(0, np.pi, 250)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    cloud = np.where(labels[:, None] == 1, np.array([1.0, 0.5]) - upper, upper)
    return Samples(single(cloud + 0.12 * generator.normal(size=(250, 2))), labels, classes=2)


def groups(request: Request) -> Samples:
    """One yes-or-no feature: 8 of 40 are positive without it, 28 of 40 with it. The best logits are known exactly."""
    x = np.repeat([0.0, 1.0], 40)[:, None]
    labels = np.concatenate([np.arange(40) < 8, np.arange(40) < 28]).astype(np.int64)
    return Samples(np.tile(x, (2, 1)), np.tile(labels, 2), classes=2, test=80)


def scales(request: Request) -> Samples:
    """A linear function of four features, whose sizes differ by a factor of a thousand and which are not centred."""
    generator = np.random.default_rng([request.seed, 5])
    plain = generator.normal(size=(400, 4))
    x = single(plain * np.array([0.03, 1.0, 5.0, 30.0]) + np.array([0.0, 2.0, 10.0, -30.0]))
    t = plain @ np.array([[1.0], [-2.0], [0.5], [1.5]]) + 0.1 * generator.normal(size=(400, 1))
    return Samples(x, single(t))


def linear4(request: Request) -> Samples:
    """A linear function of four standard normal arguments, with noise of standard deviation 0.1."""
    generator = np.random.default_rng([request.seed, 4])
    x = single(generator.normal(size=(800, 4)))
    t = x @ np.array([[1.5], [-2.0], [0.5], [3.0]]) + 0.1 * generator.normal(size=(800, 1))
    return Samples(x, single(t))


def quadratic4(request: Request) -> Samples:
    """A quadratic form of four arguments, uniform on [-1, 1]."""
    generator = np.random.default_rng([request.seed, 44])
    x = single(generator.uniform(-1, 1, (1200, 4)))
    form = np.array([[1, 0.5, 0, 0], [0.5, -1, 0.25, 0], [0, 0.25, 0.5, -0.5], [0, 0, -0.5, 0.75]])
    return Samples(x, single(np.einsum("ni,ij,nj->n", x, form, x)[:, None]))


def function(arguments: int, kind: str, request: Request) -> Samples:
    """A function of 4, 8 or 12 arguments uniform on [-1, 1], scaled to mean square 1: linear, quadratic (neighbours
    multiplied), or transcendental (a sine of one half of the arguments, damped by an exponential of the other)."""
    generator = np.random.default_rng([request.seed, 6, arguments])
    x = single(generator.uniform(-1, 1, (640, arguments)))
    signs = np.where(np.arange(arguments) % 3 == 1, -1.0, 1.0)
    match kind:
        case "linear":
            t = x @ signs
        case "quadratic":
            t = (x**2 @ signs) + np.sum(x[:, :-1] * x[:, 1:], axis=1)
        case _:
            half = arguments // 2
            t = np.sin(2 * (x[:, :half] @ signs[:half])) * np.exp(-np.mean(x[:, half:] ** 2, axis=1))
    return Samples(x, single(t / np.sqrt(np.mean(t**2)))[:, None])


def functions4(request: Request) -> Samples:
    """A linear, a quadratic and a transcendental function of the same four arguments: three targets a sample."""
    kinds = [function(4, kind, request) for kind in ("linear", "quadratic", "transcendental")]
    return Samples(kinds[0].x, np.hstack([one.t for one in kinds]))


def random_images(request: Request) -> Samples:
    """Grey levels uniform on [0.05, 1] in ten classes, of the shape that the network takes: nothing to learn, for
    timing. No level is zero, which some processors multiply faster."""
    generator = np.random.default_rng([request.seed, 7])
    count = request.samples or 640
    return Samples(
        single(generator.uniform(0.05, 1.0, (count, *request.shape))), generator.integers(10, size=count), classes=10
    )


SETS: Mapping[str, Source] = {
    "and": truth_and,
    "or": truth_or,
    "not": truth_not,
    "xor_table": truth_xor,
    "xor": xor,
    "blobs": blobs,
    "moons": moons,
    "groups": groups,
    "scales": scales,
    "linear4": linear4,
    "quadratic4": quadratic4,
    "functions4": functions4,
    "random_images": random_images,
    **{
        f"function_{kind}_{arguments}": partial(function, arguments, kind)
        for kind in ("linear", "quadratic", "transcendental")
        for arguments in (4, 8, 12)
    },
}

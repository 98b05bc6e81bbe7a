"""How data and weights lie, where padding goes, what a dropped number leaves behind: probes of layers.

A probe gives the framework's own layer numbers that are all different, and looks for the arrangement in which the
formula computes the same.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from crossnn.adapter import OwnLayer
from crossnn.conventions.formula import layer_value
from crossnn.conventions.found import Found, relative
from crossnn.conventions.own import FEATURES, UNITS, numbers, of_layer, only, refilled

CHANNELS, FILTERS, SIZE = 2, 5, 3
KERNEL_AXES = "HWIO"


@of_layer(features=FEATURES, units=UNITS)
def dense_kernel(own: OwnLayer, spec: str) -> Found:
    weights = refilled(own)
    (kernel,), (bias,) = only(weights, 2), only(weights, 1)
    x, w = numbers(2, FEATURES), weights[kernel]
    transposed = w.shape == (UNITS, FEATURES)
    value, _ = layer_value(
        spec, {"units": UNITS}, {"x": x}, {"kernel": w.T if transposed else w, "bias": weights[bias]}
    )
    square = numbers(4, 4)
    suffered = relative(numbers(2, 4) @ square.T, numbers(2, 4) @ square) if transposed else 0.0
    lies = "(units, features), the transposed" if transposed else "(features, units)"
    return Found(f"{kernel} {lies}", f"{kernel} {w.shape} for {FEATURES} features and {UNITS} units", {},
                 relative(own.run(x), value), suffered)  # fmt: skip


@of_layer(channels=CHANNELS, filters=FILTERS, size=SIZE)
def convolution_layout(own: OwnLayer, spec: str) -> Found:
    weights = refilled(own)
    (kernel,) = only(weights, 4)
    bias = [weights[name] for name in only(weights, 1)]
    image = numbers(1, 9, 8, CHANNELS)
    given: dict[str, Any] = {"filters": FILTERS, "kernel_size": (SIZE, SIZE), "use_bias": bool(bias)}
    best = Found("none found", error=float("inf"))
    for data, axes in itertools.product(("NHWC", "NCHW"), itertools.permutations(range(4))):
        w = weights[kernel].transpose(np.argsort(axes))
        if w.shape != (SIZE, SIZE, CHANNELS, FILTERS):
            continue
        slots = {"kernel": w, **({"bias": bias[0]} if bias else {})}
        value, _ = layer_value(spec, given, {"x": image}, slots)
        error = _error(own, image if data == "NHWC" else image.transpose(0, 3, 1, 2),
                       value if data == "NHWC" else value.transpose(0, 3, 1, 2))  # fmt: skip
        if error < (best.error or 0.0):
            order = "".join(KERNEL_AXES[axis] for axis in axes)
            best = Found(f"images {data}, kernel {order}", f"{kernel} {weights[kernel].shape}", {}, error)
    return best


def _error(own: OwnLayer, x: np.ndarray, expected: np.ndarray) -> float:
    """The relative difference; infinite where the layer refuses such data."""
    try:
        return relative(own.run(x), expected)
    except Exception:  # a refusal is an answer: not this layout
        return float("inf")


@of_layer(channels=1, filters=1, size=3, stride=2, same=1)
def convolution_padding(own: OwnLayer, spec: str) -> Found:
    weights = refilled(own)
    (kernel,) = only(weights, 4)
    image = numbers(1, 6, 6, 1)
    biases = only(weights, 1)
    bias = {"bias": weights[biases[0]]} if biases else {}
    slots = {"kernel": weights[kernel].reshape(3, 3, 1, 1), **bias}
    given: dict[str, Any] = {"filters": 1, "kernel_size": (3, 3), "strides": (2, 2), "use_bias": bool(bias)}
    found = {}
    for before, after in itertools.product(range(3), repeat=2):
        padded = np.pad(image, ((0, 0), (before, after), (before, after), (0, 0)))
        found[before, after], _ = layer_value(spec, given, {"x": padded}, slots)

    def error(one: tuple[int, int]) -> float:
        turned = (0, 3, 1, 2)
        return min(_error(own, image, found[one]), _error(own, image.transpose(turned), found[one].transpose(turned)))

    best = min(found, key=error)
    said = "every padding up to 2 tried"
    return Found(f"{best[0]} before, {best[1]} after", said, {}, error(best), relative(found[1, 1], found[best]))


@of_layer(size=3, stride=1, same=1)
def pooling_padding(own: OwnLayer, spec: str) -> Found:
    image = np.ones((1, 5, 5, 1))
    averaged = [own.run(x).reshape(5, 5) for x in (image, image.transpose(0, 3, 1, 2))]
    corner = next(float(one[0, 0]) for one in averaged if one[2, 2] == 1)  # the layout in which the middle is whole
    answers = {1.0: "not counted", 4 / 9: "counted"}
    nearest = min(answers, key=lambda one: abs(one - corner))
    other = next(one for one in answers if one != nearest)
    return Found(answers[nearest], f"corner of an image of ones: {corner:.6g}", {}, abs(corner / nearest - 1),
                 abs(other / nearest - 1))  # fmt: skip


@of_layer()
def dropout(own: OwnLayer, spec: str) -> Found:
    x = np.ones((100, 1000))
    trained, served = own.run(x, training=True), own.run(x)
    kept = trained[trained != 0]
    share = 1 - kept.size / x.size
    factor = float(kept.mean())
    error = max(float(np.max(np.abs(kept * 0.5 - 1))), relative(served, x))
    return Found(
        f"half is dropped in training, the rest multiplied by {factor:.6g}; in inference nothing happens",
        f"of 100,000 ones {share:.1%} became 0, the others {factor:.6g}", {"rate": 0.5}, error,
    )  # fmt: skip

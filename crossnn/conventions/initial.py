"""How parameters begin: the law of initial weights, told by their deviation and by how far out the farthest lies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from crossnn.adapter import OwnLayer
from crossnn.conventions.found import Found
from crossnn.conventions.own import FEATURES, UNITS, of_layer, only

MANY, WIDE = 300, 200
"""Inputs and outputs of a kernel with 60,000 weights, whose deviation is known to half a percent."""
SAME = 0.015
"""Relative difference of two deviations that are taken for one: three times what the number of weights leaves open."""


def _deviations(fan_in: float, fan_out: float) -> Mapping[str, float]:
    """The deviations of known laws."""
    return {
        "2/(fan_in + fan_out) (Glorot)": math.sqrt(2 / (fan_in + fan_out)),
        "2/fan_in (He)": math.sqrt(2 / fan_in),
        "1/fan_in (LeCun)": math.sqrt(1 / fan_in),
        "1/(3*fan_in)": math.sqrt(1 / (3 * fan_in)),
        "1": 1.0,
        "0.05**2": 0.05,
        "0.05**2/3": 0.05 / math.sqrt(3),
        "0.02**2": 0.02,
    }


def _law(values: np.ndarray, fan_in: float, fan_out: float) -> tuple[str, float]:
    """The law in words, and its deviation."""
    flat = values.ravel()
    if np.all(flat == flat[0]):
        return f"{flat[0]:g}", 0.0
    deviation = float(flat.std())
    reach = float(np.max(np.abs(flat))) / deviation
    shape = "uniform" if reach < 1.8 else "normal, cut at two deviations" if reach < 2.4 else "normal"
    known = _deviations(fan_in, fan_out)
    name = min(known, key=lambda one: abs(math.log(known[one] / deviation)))
    said = f"variance {name}" if abs(known[name] / deviation - 1) <= SAME else f"deviation {deviation:.4g}"
    return f"{shape}, {said}", deviation


@of_layer(features=MANY, units=WIDE)
def dense(own: OwnLayer, spec: str) -> Found:
    weights = own.weights()
    kernel, bias = weights[only(weights, 2)[0]], weights[only(weights, 1)[0]]
    law, deviation = _law(kernel, MANY, WIDE)
    bias_law = f"{bias[0]:g}" if np.all(bias == bias[0]) else f"uniform within {np.max(np.abs(bias)):.3g}"
    glorot = math.sqrt(2 / (MANY + WIDE))
    return Found(f"kernel {law}; bias {bias_law}", f"{MANY} x {WIDE} weights, deviation {deviation:.4g}",
                 error=0.0, difference=abs(glorot / deviation - 1))  # fmt: skip


@of_layer(tokens=MANY, units=WIDE)
def embedding(own: OwnLayer, spec: str) -> Found:
    (values,) = own.weights().values()
    law, deviation = _law(values, MANY, WIDE)
    return Found(law, f"{MANY} vectors of {WIDE} numbers, deviation {deviation:.4g}", error=0.0)


@of_layer(features=FEATURES)
def prelu(own: OwnLayer, spec: str) -> Found:
    (slopes,) = own.weights().values()
    many = "one for all" if slopes.size == 1 else "one for each feature"
    return Found(f"{slopes.ravel()[0]:g}, {many}", f"slopes of shape {slopes.shape}", error=0.0)


@of_layer(features=FEATURES, units=UNITS)
def lstm_bias(own: OwnLayer, spec: str) -> Found:
    weights = own.weights()
    biases = np.concatenate([weights[name].ravel() for name in only(weights, 1)])
    values = sorted({float(value) for value in biases})
    if values == [0.0, 1.0]:
        gates = biases.reshape(-1, 4, UNITS)[0].mean(-1)
        said = ", ".join(f"{one:g}" for one in gates)
        return Found(f"{said} in the order of the gates", "initial values", error=0.0)
    if values == [0.0]:
        return Found("0", "initial values", error=0.0)
    bound = max(map(abs, values)) * math.sqrt(UNITS)
    return Found("uniform within 1/sqrt(units)" if bound <= 1 else f"drawn, within {max(values):.3g}",
                 f"largest {bound:.3g}/sqrt(units)", error=0.0)  # fmt: skip

"""What an opened optimizer does: free runs of eight hostile steps, on arrays and on matrices.

Every number of an array has its own history, and half of them their own magnitude, from 1e-20 to 1e2: there the
smallest epsilon shows. Matrices are for what acts on whole parameters. An optimizer that refuses arrays is run on
matrices alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from crossnn.adapter import Opened
from crossnn.errors import BackendError, CrossnnError, told
from crossnn.parity import inputs
from crossnn.parity.optimizers import RATES, SHAPES
from crossnn.parity.paths import STEPS

ARRAYS, MATRICES = ("hostile", "scaled"), ("matrix", "small", "tiny")


@dataclass(frozen=True)
class Inputs:
    """Parameters, and their gradients at each step."""

    w: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Ran:
    """Parameters after each step, (steps, numbers), and those slots of its state that are arrays at every step; what
    it refused to run on is not there. `rates` is None where its learning rate cannot be set."""

    w: Mapping[str, np.ndarray]
    slots: Mapping[str, Mapping[str, np.ndarray]]
    rates: np.ndarray | None


@cache
def optimizer_inputs() -> Inputs:
    """The same for everyone."""
    generator = inputs.generator_for("identify", 0)
    array, matrix = SHAPES["element"], SHAPES["matrix"]
    matrices = {"matrix": (matrix, 0), "small": (matrix[::-1], -3), "tiny": (matrix, -6)}  # wide, tall; their sizes
    w = {name: inputs.hostile(generator, array, -3, 0) for name in ARRAYS}
    w |= {name: inputs.hostile(generator, shape, size - 2, size) for name, (shape, size) in matrices.items()}
    for name in ARRAYS:
        w[name].flat[::2] = 0.0
    gradients = {"hostile": inputs.hostile(generator, (STEPS, *array), -8, 2)}
    gradients["hostile"][generator.random(gradients["hostile"].shape) < 0.08] = 0.0
    scales = 10.0 ** np.linspace(-20, 2, array[0])
    wave = inputs.hostile(generator, (STEPS, *array), -0.5, 0.5)
    gradients["scaled"] = inputs.single(wave * scales)
    gradients["matrix"] = inputs.hostile(generator, (STEPS, *matrix), -2, 1)
    gradients["small"] = inputs.hostile(generator, (STEPS, *matrix[::-1]), -5, -2)
    gradients["small"][0] = 0.0
    gradients["tiny"] = inputs.hostile(generator, (STEPS, *matrix), -17, -14)
    return Inputs(w, gradients)


def run_optimizer(opened: Opened, rate: float | None) -> Ran:
    """The free runs. `rate`: the first learning rate, where it can be set."""
    given = optimizer_inputs()
    rates = None if rate is None else inputs.single(np.multiply(RATES, inputs.single([rate])[0]))
    w: dict[str, np.ndarray] = {}
    slots: dict[str, dict[str, np.ndarray]] = {}
    refused: Exception | None = None
    for names in ((*ARRAYS, *MATRICES), ARRAYS, MATRICES):
        if names[0] in w or names[-1] in w:
            continue
        try:
            found = _free_run(opened, given, names, rates)
        except Exception as error:  # whatever a framework or a user throws
            refused = error
            continue
        w |= found[0]
        for slot, values in found[1].items():
            slots.setdefault(slot, {}).update(values)
    if not w:
        if isinstance(refused, CrossnnError):
            raise refused
        raise BackendError(f"{opened.native.call} cannot take a step here: {told(refused)}") from refused
    if not any(np.isfinite(values).any() for values in w.values()):
        raise BackendError(
            f"{opened.native.call} leaves no finite parameter after its first step, and nothing to compare"
        )
    return Ran(w, slots, rates)


def _free_run(
    opened: Opened, given: Inputs, names: tuple[str, ...], rates: np.ndarray | None
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    start = {name: given.w[name] for name in names}
    optimizer = opened.native.function(start, {})
    optimizer.load(start, {}, 0)
    read = []
    for k in range(STEPS):
        rate = 1.0 if rates is None else float(rates[k])
        optimizer.step({name: given.gradients[name][k] for name in names}, rate)
        read.append(optimizer.read())
    for name in names:
        for params, _ in read:
            if np.shape(params[name]) != np.shape(start[name]):
                raise BackendError(
                    f"{opened.native.call} makes a parameter of shape {np.shape(params[name])} of one of shape "
                    f"{np.shape(start[name])}"
                )
    w = {name: np.stack([np.array(params[name], float).ravel() for params, _ in read]) for name in names}
    slots: dict[str, dict[str, np.ndarray]] = {}
    for slot in read[-1][1]:
        for name in names:
            values = [state.get(slot, {}).get(name) for _, state in read]
            if all(value is not None and np.size(value) == np.size(values[-1]) for value in values):
                slots.setdefault(slot, {})[name] = np.stack([np.array(one, float).ravel() for one in values])
    return w, slots

"""Steps L4, L8 and L10: gradients, expressions that a compiler rewrites, and a training step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Params, Tree
from crossnn.catalogue.load import load_catalogue
from crossnn.formula.graph import map_tree
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.lesson.bench import Bench, attempt
from crossnn.lesson.programs import (
    EXPRESSIONS,
    HAND,
    NETWORK,
    Arrays,
    expression_graph,
    network_arguments,
    network_graph,
)
from crossnn.training.train import problem_of, step_function

EXPERIMENT = "digits-mlp"
STEPS = 100
CHECKPOINTS = (1, 2, 5, 10, 20, 50, 100)
"""After so many steps the parameters are compared."""
WIDTH = 2.0**-17
"""Of central differences: near the cube root of the roundoff, where both their errors are small."""


def derivatives(bench: Bench) -> dict[str, Any]:
    """The gradient of half the squared error of two layers, by the backend's own differentiation in each mode. NumPy
    shows besides what is derived by hand, and central differences."""
    adapter = bench.adapter
    f = bench.function(network_graph(NETWORK), "objective")
    params, data = network_arguments()
    given = map_tree(adapter.tensor, params), map_tree(adapter.tensor, data)

    def in_mode(mode: str) -> dict[str, Any]:
        _, found = bench.compiled(adapter.value_and_grad(f), mode)(*given)
        return {"gradients": {name: adapter.array(found[name]).tolist() for name in params}}

    found = {mode: attempt(lambda mode=mode: in_mode(mode)) for mode in bench.modes}  # type: ignore[misc]
    if adapter.name == "numpy":
        by_hand = compile_graph(network_graph(*HAND.values()), "by_hand", NUMPY)(params, data)
        found["by hand"] = {"gradients": {name: one.tolist() for name, one in zip(HAND, by_hand, strict=True)}}
        found["central differences"] = {"gradients": _differences(params, data)}
    return {"modes": found}


def _differences(params: Arrays, data: Arrays) -> dict[str, Any]:
    f = compile_graph(network_graph(NETWORK), "objective", NUMPY)
    found: dict[str, Any] = {}
    for name, array in params.items():
        slope = np.empty_like(array)
        for index in np.ndindex(array.shape):
            there, back = array.copy(), array.copy()
            there[index] += WIDTH
            back[index] -= WIDTH
            slope[index] = (f({**params, name: there}, data) - f({**params, name: back}, data)) / (
                there[index] - back[index]
            )
        found[name] = slope.tolist()
    return found


def rewritten(bench: Bench) -> dict[str, Any]:
    """The expressions, in each mode: the first element of each result."""

    def value(number: int, mode: str) -> dict[str, Any]:
        one = EXPRESSIONS[number]
        f = bench.compiled(bench.function(expression_graph(one), "expression"), mode)
        return {"value": bench.numbers(f(bench.adapter.tensor(np.array(one.x))))}

    return {
        "modes": {
            mode: [attempt(lambda n=number, mode=mode: value(n, mode)) for number in range(len(EXPRESSIONS))]  # type: ignore[misc]
            for mode in bench.modes
        }
    }


def training(bench: Bench) -> dict[str, Any]:
    """The first steps of the experiment: the loss of each, and the parameters now and then. NumPy trains besides from
    parameters that differ by one rounding: how far these part, no two frameworks need agree better."""
    found = {mode: attempt(lambda mode=mode: _trained(bench, mode, 0)) for mode in bench.modes}  # type: ignore[misc]
    if bench.adapter.name == "numpy":
        fastest = bench.modes[-1]
        found |= {f"twin {seed}": attempt(lambda seed=seed: _trained(bench, fastest, seed)) for seed in (1, 2, 3)}  # type: ignore[misc]
    return {"experiment": EXPERIMENT, "modes": found}


def _trained(bench: Bench, mode: str, disturbed: int) -> dict[str, Any]:
    catalogue = load_catalogue()
    adapter = bench.adapter
    problem = problem_of(catalogue.find(EXPERIMENT), catalogue, 0)
    start = shaken(problem.params, bench.dtype, disturbed) if disturbed else problem.params
    params, state, layers = (map_tree(adapter.tensor, tree) for tree in (start, problem.state, problem.layers))
    step = step_function(problem, adapter, mode)
    losses: list[float] = []
    kept: dict[str, list[float]] = {}
    for epoch in range(problem.epochs):
        order = problem.order(epoch)
        for number in range(problem.batches):
            count = len(losses)
            if count == STEPS:
                break
            data: Tree = map_tree(adapter.tensor, problem.batch(epoch, number, order))
            lr, t = adapter.tensor(np.array(problem.rates[count])), adapter.tensor(np.array(float(count + 1)))
            loss, params, state, layers = step(params, state, layers, data, lr, t)
            losses.append(float(adapter.array(loss)))
            if count + 1 in CHECKPOINTS:
                kept[str(count + 1)] = _flat(adapter, params, list(problem.params))
    return {"losses": losses, "params": kept}


def _flat(adapter: Adapter, params: Params, names: Sequence[str]) -> list[float]:
    """All parameters in this order: some frameworks give dictionaries back in another one."""
    found: list[float] = np.concatenate([adapter.array(params[name]).ravel() for name in names]).tolist()
    return found


def shaken(params: Mapping[str, np.ndarray], dtype: str, seed: int) -> Arrays:
    """The parameters, each moved by one roundoff up or down."""
    generator = np.random.default_rng(seed)
    roundoff = float(np.finfo(dtype).eps) / 2
    return {name: one * (1 + roundoff * generator.choice([-2.0, 2.0], one.shape)) for name, one in params.items()}

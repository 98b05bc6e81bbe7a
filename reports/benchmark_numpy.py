"""Does a compiled NumPy training step cost what careful hand-written NumPy costs?

The network is an MLP with ReLU, softmax cross-entropy from logits and Adam, in float32. The hand-written step does the
same arithmetic with every array written into memory made beforehand, and updates its parameters in place; the
generated step comes from the formulas. Both are checked against each other first, then timed in shuffled pairs.

    python reports/benchmark_numpy.py --rounds 30 --threads 1
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    # The matrix library reads these when NumPy is imported, which the next lines do.
    os.environ[variable] = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"

import numpy as np  # noqa: E402 (after the environment)

from crossnn.formula.grammar import parse  # noqa: E402
from crossnn.formula.graph import Graph, Node, constant, record  # noqa: E402
from crossnn.formula.simplify import simplify  # noqa: E402
from crossnn.formula.source import compile_graph  # noqa: E402
from crossnn.registry import load  # noqa: E402

LOSS = "mean(log(sum(exp(y - stop_gradient({m})), axis=-1, keepdims=True)) + stop_gradient({m}) - {s})".format(
    m="max(y, axis=-1, keepdims=True)", s="sum(t*y, axis=-1, keepdims=True)"
)
LAYER = ("x @ kernel + bias", "where(x > 0, x, 0)")
ADAM = {
    "m": "beta1*m + (1 - beta1)*g",
    "v": "beta2*v + (1 - beta2)*g**2",
    "w": "w - lr*(m/(1 - beta1**t))/(sqrt(v/(1 - beta2**t)) + eps)",
}
BETA1, BETA2, LR, EPS = 0.9, 0.999, 1e-3, 1e-8
Step = Callable[[Any, Any, np.ndarray, np.ndarray, int], tuple[Any, Any, Any]]


def generated(adapter: Any, layers: int) -> Step:
    """The training step as crossnn makes it: formulas over the adapter's primitives, differentiated and compiled."""

    def function(text: str, **shapes: tuple[int, ...]) -> Callable[..., Any]:
        def trace(**inputs: Node) -> Node:
            tape = next(iter(inputs.values())).tape
            hyper = {"beta1": BETA1, "beta2": BETA2, "lr": LR, "eps": EPS}
            return record(parse(text), {**{k: constant(tape, v, name=k) for k, v in hyper.items()}, **inputs}, tape)

        graph = simplify(Graph.trace(trace, shapes))
        return compile_graph(graph, "formula", adapter.primitives, adapter.spelling, adapter.namespace)

    affine = function(LAYER[0], x=(2, 3), kernel=(3, 4), bias=(4,))
    relu = function(LAYER[1], x=(2, 3))
    cross_entropy = function(LOSS, y=(2, 3), t=(2, 3))
    any_shape = {"g": (2, 3), "m": (2, 3), "v": (2, 3), "w": (2, 3), "t": ()}
    update = {
        name: function(text, **{key: shape for key, shape in any_shape.items() if key in text.replace("beta", "")})
        for name, text in {"m": ADAM["m"], "v": ADAM["v"], "w": ADAM["w"]}.items()
    }

    def loss(params: dict[str, Any], x: Any, t: Any) -> Any:
        for number in range(layers):
            x = affine(x, params[f"{number}.kernel"], params[f"{number}.bias"])
            x = relu(x) if number < layers - 1 else x
        return cross_entropy(x, t)

    value_and_grad = adapter.value_and_grad(loss)

    def step(params: Any, state: Any, x: Any, t: Any, count: Any) -> Any:
        value, gradients = value_and_grad(params, x, t)
        m = {key: update["m"](g=g, m=state["m"][key]) for key, g in gradients.items()}
        v = {key: update["v"](g=g, v=state["v"][key]) for key, g in gradients.items()}
        w = {key: update["w"](m=m[key], v=v[key], w=params[key], t=count) for key in params}
        return w, {"m": m, "v": v}, value

    return adapter.compile(step, "compiled")  # type: ignore[no-any-return]


class HandWritten:
    """The same step by a careful author: all memory made once, every operation with `out=`, Adam in place."""

    def __init__(self, sizes: list[int], batch: int, dtype: str) -> None:
        pairs = list(pairwise(sizes))
        self.h = [np.empty((batch, right), dtype) for _, right in pairs]
        self.g = [np.empty((batch, right), dtype) for _, right in pairs]
        self.mask = [np.empty((batch, right), bool) for _, right in pairs]
        self.row = [np.empty((batch, 1), dtype) for _ in range(3)]
        self.product = np.empty((batch, sizes[-1]), dtype)
        shapes: dict[str, tuple[int, ...]] = {f"{n}.kernel": pair for n, pair in enumerate(pairs)}
        shapes |= {f"{n}.bias": (right,) for n, (_, right) in enumerate(pairs)}
        self.grads = {key: np.empty(shape, dtype) for key, shape in shapes.items()}
        self.scratch = {key: (np.empty(shape, dtype), np.empty(shape, dtype)) for key, shape in shapes.items()}

    def __call__(self, params: Any, state: Any, x: np.ndarray, t: np.ndarray, count: int) -> tuple[Any, Any, Any]:
        last, batch = len(self.h) - 1, len(x)
        below: np.ndarray = x
        for n, h in enumerate(self.h):
            np.matmul(below, params[f"{n}.kernel"], out=h)
            np.add(h, params[f"{n}.bias"], out=h)
            if n < last:
                np.greater(h, 0, out=self.mask[n])
                np.maximum(h, 0, out=h)
            below = h
        (largest, total, rest), y = self.row, self.h[last]
        g: np.ndarray = self.g[last]
        np.maximum.reduce(y, axis=-1, keepdims=True, out=largest)
        np.subtract(y, largest, out=g)
        np.exp(g, out=g)
        np.add.reduce(g, axis=-1, keepdims=True, out=total)
        np.divide(1 / batch, total, out=rest)
        np.multiply(g, rest, out=g)
        np.multiply(t, -1 / batch, out=self.product)
        np.add(g, self.product, out=g)
        np.log(total, out=total)
        np.add(total, largest, out=total)
        np.multiply(t, y, out=self.product)
        np.add.reduce(self.product, axis=-1, keepdims=True, out=rest)
        np.subtract(total, rest, out=total)
        loss = np.add.reduce(total, axis=None) / batch
        for n in range(last, -1, -1):
            g = self.g[n]
            np.matmul((self.h[n - 1] if n else x).T, g, out=self.grads[f"{n}.kernel"])
            np.add.reduce(g, axis=0, out=self.grads[f"{n}.bias"])
            if n:
                np.matmul(g, params[f"{n}.kernel"].T, out=self.g[n - 1])
                np.multiply(self.g[n - 1], self.mask[n - 1], out=self.g[n - 1])
        for key, w in params.items():
            g, m, v, (one, two) = self.grads[key], state["m"][key], state["v"][key], self.scratch[key]
            np.multiply(m, BETA1, out=m)
            np.multiply(g, 1 - BETA1, out=one)
            np.add(m, one, out=m)
            np.multiply(v, BETA2, out=v)
            np.square(g, out=one)
            np.multiply(one, 1 - BETA2, out=one)
            np.add(v, one, out=v)
            np.divide(m, 1 - BETA1**count, out=one)
            np.multiply(one, LR, out=one)
            np.divide(v, 1 - BETA2**count, out=two)
            np.sqrt(two, out=two)
            np.add(two, EPS, out=two)
            np.divide(one, two, out=one)
            np.subtract(w, one, out=w)
        return params, state, loss


def start(sizes: list[int], batch: int, dtype: str) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Parameters, optimizer state and one batch, from a fixed seed."""
    draw = np.random.default_rng(0)
    params = {}
    for n, (left, right) in enumerate(pairwise(sizes)):
        params[f"{n}.kernel"] = draw.normal(0, left**-0.5, (left, right)).astype(dtype)
        params[f"{n}.bias"] = np.zeros(right, dtype)
    state = {slot: {key: np.zeros_like(w) for key, w in params.items()} for slot in ("m", "v")}
    x = draw.normal(size=(batch, sizes[0])).astype(dtype)
    t = np.eye(sizes[-1], dtype=dtype)[draw.integers(0, sizes[-1], batch)]
    return params, state, x, t


class Timed:
    """One contender: its state between visits, and what its steps cost."""

    def __init__(self, step: Step, given: tuple[Any, Any, np.ndarray, np.ndarray]) -> None:
        self.step, (self.params, self.state, self.x, self.t) = step, given
        self.count, self.loss = 0, 0.0
        self.ms: list[float] = []
        self.faults: list[float] = []
        self.system: list[float] = []

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.count += 1
            self.params, self.state, self.loss = self.step(self.params, self.state, self.x, self.t, self.count)

    def visit(self, steps: int) -> None:
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        self.run(steps)
        end, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        self.ms.append((end - begin) / steps * 1e3)
        self.faults.append((after.ru_minflt - before.ru_minflt) / steps)
        self.system.append((after.ru_stime - before.ru_stime) / steps * 1e3)


def interval(logs: np.ndarray) -> tuple[float, float, float]:
    """The median ratio and its 95 % interval, by resampling rounds."""
    medians = np.median(np.random.default_rng(1).choice(logs, (10_000, len(logs))), axis=1)
    low, middle, high = np.exp([*np.quantile(medians, [0.025]), np.median(logs), *np.quantile(medians, [0.975])])
    return float(middle), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="784,512,512,10")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10, help="training steps in one timed visit")
    parser.add_argument("--threads", type=int, default=1, help="set before NumPy is imported")
    parser.add_argument("--source", action="store_true", help="print the generated step")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    adapter = load("numpy")
    print(adapter.start("cpu", options.dtype, options.threads))
    contenders = {
        "hand-written": Timed(
            HandWritten(sizes, options.batch, options.dtype), start(sizes, options.batch, options.dtype)
        ),
        "generated": Timed(generated(adapter, len(sizes) - 1), start(sizes, options.batch, options.dtype)),
    }
    for timed in contenders.values():
        timed.run(5)
    hand, made = contenders.values()
    worst = max(float(np.max(np.abs(hand.params[key] - made.params[key]))) for key in hand.params)
    print(f"after 5 steps: losses {hand.loss} and {made.loss}, largest difference of a parameter {worst:.2g}")
    if not worst < 1e-4:
        raise SystemExit("the two steps disagree: no times are printed")
    if options.source:
        print(made.step.source)  # type: ignore[attr-defined]
    shuffle = np.random.default_rng(2)
    for _ in range(options.rounds):
        for timed in shuffle.permutation(np.array([hand, made], dtype=object)):
            timed.visit(options.steps)
    for name, timed in contenders.items():
        cost = f"{statistics.median(timed.ms):8.3f} ms per step"
        print(
            f"{name:13} {cost}, {np.mean(timed.faults):6.1f} page faults, {np.mean(timed.system):.3f} ms of system time"
        )
    ratio, low, high = interval(np.log(np.array(made.ms) / np.array(hand.ms)))
    print(f"generated / hand-written: {ratio:.3f} (95 % interval {low:.3f} to {high:.3f}, {options.rounds} rounds)")


if __name__ == "__main__":
    main()

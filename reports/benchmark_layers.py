"""Does a layer that is a formula cost what the framework's own layer costs?

For each framework, in a process of its own: forward and backward (input and every parameter) of dense, conv2d, batch
normalisation and LSTM, from the formula and by the framework's own layer. All are compared with NumPy in float64
first, then timed in shuffled rounds; ratios are taken within a round. Where others use the machine, one thread and
its processor time (`--threads 1 --clock processor`) say more than two threads and the wall clock.

    python reports/benchmark_layers.py --rounds 40 --threads 2 --out reports/cpu-2-cores
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FRAMEWORKS = ("torch", "tensorflow", "jax")
THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PJRT_NPROC"):
    os.environ[variable] = THREADS  # read when NumPy, torch and JAX are imported
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # a first call compiles

import numpy as np  # noqa: E402 (after the environment)
from layers_report import report  # noqa: E402

from crossnn.adapter import Adapter  # noqa: E402
from crossnn.catalogue.build import settings  # noqa: E402
from crossnn.catalogue.load import load_catalogue  # noqa: E402
from crossnn.catalogue.network import Assembly, record_layer  # noqa: E402
from crossnn.formula.graph import GRAPH, Graph, Node  # noqa: E402
from crossnn.parity.compute import function_of  # noqa: E402
from crossnn.registry import load  # noqa: E402
from crossnn.timing.results import median_interval  # noqa: E402

Arrays = Mapping[str, np.ndarray]
Shape = tuple[int, ...]
LAYERS: Mapping[str, tuple[Shape, Mapping[str, Any]]] = {
    "dense": ((64, 512), {"units": 512}),
    "conv2d": ((64, 28, 28, 16), {"filters": 32, "padding": "same"}),
    "batch_norm": ((64, 28, 28, 32), {}),
    "lstm": ((32, 32, 64), {"units": 64}),
    "lstm sequences": ((32, 32, 64), {"units": 64, "return_sequences": True}),
}
"""The input's shape and the settings; the rest as in the catalogue. Keras and we keep the same running variance."""
COMPILED = {"torch": ("compiled",), "tensorflow": ("graph", "xla"), "jax": ("jit",)}
VISIT = 0.03
"""Seconds of one timed visit, at least."""
CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


class Composed:
    """A layer as a graph: the objective of (params, data), new running statistics with it where there are any."""

    def __init__(self, layer: str) -> None:
        shape, given = LAYERS[layer]
        row = load_catalogue().find(layer.split()[0])
        options, knobs = settings(row, given)
        table = {**options, **knobs, "inputs": ["x"]}
        plan = Assembly([], training=True)
        plan.outputs = {"x": Node(plan.tape, "input", shape=shape, name="x")}
        output = record_layer(plan, None, row, "", table)  # type: ignore[arg-type]
        generator = np.random.default_rng(0)

        def drawn(shape: Shape) -> np.ndarray:
            return (generator.normal(size=shape) / math.sqrt(max(shape[0], 1) if len(shape) == 2 else 8)).astype("f4")

        self.params = {"x": drawn(shape), **{name: drawn(node.shape) for name, node in plan.params.items()}}
        self.data = {name: np.abs(drawn(node.shape)) for name, node in plan.state.items()}
        self.data["weights"] = drawn(output.shape)
        self.renews = bool(plan.state)

        def objective(params: Any, data: Any) -> Any:
            state = {name: data[name] for name in plan.state}
            tape = params["x"].tape
            found = Assembly(tape, True, params={k: v for k, v in params.items() if k != "x"}, state=state)
            found.outputs = {"x": params["x"]}
            value = GRAPH["sum"](data["weights"] * record_layer(found, None, row, "", table))  # type: ignore[arg-type]
            return (value, dict(found.new_state)) if self.renews else value

        shapes = {
            kind: {name: array.shape for name, array in arrays.items()}
            for kind, arrays in (("params", self.params), ("data", self.data))
        }
        self.graph = Graph.trace(objective, shapes)

    def way(self, adapter: Adapter, mode: str) -> tuple[Callable[[], Any], Callable[[Any], Arrays]]:
        """One step, and what it found: the value and the gradients."""
        function = function_of(self.graph, "objective", adapter, mode)
        step = adapter.compile(adapter.value_and_grad(function, aux=self.renews), mode)
        given = [{name: adapter.tensor(array) for name, array in arrays.items()} for arrays in (self.params, self.data)]

        def read(found: Any) -> Arrays:
            value, gradients = found
            value = value[0] if self.renews else value
            return {"value": adapter.array(value), **{name: adapter.array(one) for name, one in gradients.items()}}

        return lambda: step(*given), read


class Contender:
    """One way to run a layer, and what its steps cost."""

    def __init__(self, call: str, mode: str, step: Callable[[], Any], adapter: Adapter, clock: str) -> None:
        self.call, self.mode, self.step, self.wait, self.clock = call, mode, step, adapter.wait, CLOCKS[clock]
        self.ms: list[float] = []
        begin = self.clock()
        self.found = step()
        self.wait(self.found)
        self.first = self.clock() - begin
        self.repeats = 1
        for _ in range(5):
            once = self.time()
        self.repeats = max(1, math.ceil(VISIT / once))
        self.time()

    def time(self) -> float:
        """Seconds of one step, the wait for its results inside the clock."""
        begin = self.clock()
        for _ in range(self.repeats):
            self.wait(self.step())
        return (self.clock() - begin) / self.repeats

    def visit(self) -> None:
        self.ms.append(self.time() * 1e3)


def agrees(name: str, found: Arrays, truth: Arrays) -> None:
    """Every value and gradient within 1e-4 of the largest element; else no time is taken."""
    for what, right in truth.items():
        error = np.max(np.abs(found[what] - right)) / np.max(np.abs(right))
        if not (found[what].shape == right.shape and error < 1e-4):
            raise SystemExit(f"{name}: {what} is off by {error:.2g} of its largest element: nothing is timed")


def processor_seconds() -> tuple[float, float]:
    """Seconds that all processes, and this one with its children, have used the processor."""
    fields = [float(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    own = os.times()
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK"), sum(own[:4])


def measure(framework: str, layer: str, rounds: int, clock: str) -> Iterator[dict[str, Any]]:
    """Rows of one layer: each contender, with the ratio of the formula to it."""
    composed, reference = Composed(layer), load("numpy")
    reference.start("cpu", "float64", int(THREADS))
    step, read = composed.way(reference, "compiled")
    truth = read(step())
    adapter = load(framework)
    adapter.start("cpu", "float32", int(THREADS))
    contenders = []
    for mode in COMPILED[framework]:
        step, read = composed.way(adapter, mode)
        contenders.append(Contender("formula", mode, step, adapter, clock))
        agrees(f"{framework} {mode}: formula of {layer}", read(contenders[-1].found), truth)
    twin = Contender("formula again", contenders[0].mode, contenders[0].step, adapter, clock)
    own = importlib.import_module(f"layers_of_{framework}")
    for call, mode, step, read in own.ways(adapter, layer, composed.params, composed.data):
        contenders.append(Contender(call, mode, step, adapter, clock))
        agrees(f"{framework} {mode}: {call}", read(contenders[-1].found), truth)
    contenders.append(twin)
    shuffle, (all_before, own_before), begin = np.random.default_rng(2), processor_seconds(), time.perf_counter()
    for _ in range(rounds):
        for index in shuffle.permutation(len(contenders)):
            contenders[index].visit()
    all_after, own_after = processor_seconds()
    others = max(0.0, all_after - all_before - own_after + own_before) / (time.perf_counter() - begin)
    formulas = {one.mode: one for one in contenders if one.call == "formula"}
    for one in contenders:
        base = formulas.get(one.mode, next(iter(formulas.values())))
        ratio = np.exp(median_interval(list(np.log(np.array(base.ms) / np.array(one.ms)))))
        yield {
            "framework": framework, "layer": layer, "call": one.call, "mode": one.mode, "against": base.mode,
            "first_s": one.first, "ms": statistics.median(one.ms), "rounds": rounds, "ratio": float(ratio[0]),
            "low": float(ratio[1]), "high": float(ratio[2]), "others": others, "clock": clock, "threads": int(THREADS),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append")
    parser.add_argument("--layer", choices=list(LAYERS), action="append")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2, help="set before any framework is imported")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--out", type=Path, help="folder for benchmark_layers.md and benchmark_layers.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    layers = options.layer or list(LAYERS)
    if options.child:
        for layer in layers:
            for row in measure(options.framework[0], layer, options.rounds, options.clock):
                print(json.dumps(row), flush=True)
        return
    rows, before = [], Path("/proc/loadavg").read_text().split()[0]
    for framework in options.framework or FRAMEWORKS:
        command = [sys.executable, __file__, "--child", "--framework", framework, "--rounds", str(options.rounds)]
        command += [
            "--threads",
            THREADS,
            "--clock",
            options.clock,
            *(part for layer in layers for part in ("--layer", layer)),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    text = report(rows, COMPILED, (before, Path("/proc/loadavg").read_text().split()[0]))
    print(text)
    if options.out:
        (options.out / "benchmark_layers.md").write_text(text, "utf-8")
        (options.out / "benchmark_layers.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""Networks: a list of layers becomes one recorded forward computation.

Shapes are inferred by recording: each layer's formula, given the shape of its input, tells the shape of its output.
A network of layers is thereby one flat graph, and the code generated from it has no layer objects left to call.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.initial import initialize
from crossnn.catalogue.layers import Law, Slots, record_formulas
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Activation, Formulated, Initializer, Layer, Network, Parameter, Row
from crossnn.errors import FormulaError, SpecError, choices
from crossnn.formula.graph import GRAPH, Node
from crossnn.formula.limits import MAX_ELEMENTS
from crossnn.formula.shapes import Shape

INPUT = "input"


@dataclass
class Assembly:
    """A network while and after it is recorded, for one batch size, in training or in inference. Parameters, running
    statistics and draws are inputs by path (`hidden.kernel`), each with how it starts; `new_state` is what the
    statistics become in a training step."""

    tape: list[Node]
    training: bool = True
    params: dict[str, Node] = field(default_factory=dict)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    state: dict[str, Node] = field(default_factory=dict)
    new_state: dict[str, Node] = field(default_factory=dict)
    draws: dict[str, Node] = field(default_factory=dict)
    laws: dict[str, Law] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    inner: dict[str, Node] | None = None
    """What layers compute on their way, where a dictionary is put here."""

    @property
    def x(self) -> Node:
        return self.outputs[INPUT]

    @property
    def prediction(self) -> Node:
        return next(reversed(self.outputs.values()))

    @property
    def layers(self) -> list[str]:
        return [name for name in self.outputs if name != INPUT]


def assemble(
    row: Network,
    catalogue: Catalogue,
    x: Node,
    *,
    training: bool = True,
    params: Mapping[str, Node] | None = None,
    state: Mapping[str, Node] | None = None,
    draws: Mapping[str, Node] | None = None,
    probes: Mapping[str, Node] | None = None,
) -> Assembly:
    """Record the forward computation of a network on input `x`. Parameters, statistics and draws that are not given
    become new inputs. A probe (a tensor of zeros, by layer name) is added to that layer's output: its gradient is the
    gradient with respect to the layer."""
    assembly = Assembly(
        x.tape, training, dict(params or {}), state=dict(state or {}), draws=dict(draws or {}), outputs={INPUT: x},
        fixed=row.weights,
    )  # fmt: skip
    for number, layer in enumerate(row.layers, 1):
        where = f"{row.file}: [{row.name}] layer {number}"
        kind = layer.get("layer")
        spec = catalogue.rows.get(str(kind))
        if not isinstance(spec, Layer | Activation):
            known = [one.name for one in catalogue.of_kind("layer", "activation")]
            raise SpecError(f"{where}: layer = {kind!r}; known layers and activations: {choices(known)}")
        name = str(layer.get("name", kind))
        if name in assembly.outputs:
            raise SpecError(f"{where}: the name {name!r} is taken; give each layer its own name")
        try:
            output = record_layer(assembly, catalogue, spec, name, layer)
        except (FormulaError, SpecError) as error:
            raise SpecError(f"{where} ({name}): {error}") from None
        if probes and name in probes:
            output = output + probes[name]
        if not output.name:
            output.name = name
        assembly.outputs[name] = output
    return assembly


def record_layer(
    assembly: Assembly,
    catalogue: Catalogue | None,
    spec: Layer | Activation,
    name: str,
    table: Mapping[str, Any],
) -> Node:
    """Record one layer on the outputs of earlier ones. `table` is its line in the network: inputs, options, knobs and
    initializers. Its parameters are called `name.slot` (`slot` alone where the name is empty)."""
    sources = table.get("inputs", [next(reversed(assembly.outputs))])
    missing = [source for source in sources if source not in assembly.outputs]
    if missing:
        raise SpecError(f"inputs {choices(missing)} do not exist here; earlier layers: {choices(assembly.outputs)}")
    inputs = [assembly.outputs[source] for source in sources]
    wanted = spec.inputs if isinstance(spec, Layer) else ["x"]
    if len(inputs) != len(wanted):
        raise SpecError(f"takes {len(wanted)} input(s), got {len(inputs)}; write inputs = [...] with layer names")
    slots = {**spec.params, **spec.state} if isinstance(spec, Layer) else {}
    given = {key: value for key, value in table.items() if key not in ("layer", "name", "inputs", *slots)}
    hyper, knobs = settings(spec, given)
    names = dict(zip(wanted, inputs, strict=True))
    if isinstance(spec, Activation):
        return record_row(spec, spec.formula, names, assembly.tape, hyper, knobs)
    reader = _Reader(assembly, catalogue, f"{name}." if name else "", table)
    found = Slots(reader.parameter, reader.statistic, reader.draw, watch=assembly.inner is not None)
    output = record_formulas(spec, names, hyper, knobs, found, assembly.training)
    if assembly.inner is not None:
        assembly.inner.update({reader.prefix + inner: node for inner, node in found.inner.items()})
    for slot, node in found.new_statistics.items():
        assembly.new_state[reader.prefix + slot] = node
    return output


@dataclass
class _Reader:
    """Gives a layer its parameters, statistics and draws, under the layer's name in the network."""

    assembly: Assembly
    catalogue: Catalogue | None
    prefix: str
    table: Mapping[str, Any]

    def parameter(self, slot: str, shape: Shape, row: Parameter) -> Node:
        return self._input(self.assembly.params, slot, shape, row)

    def statistic(self, slot: str, shape: Shape, row: Parameter) -> Node:
        return self._input(self.assembly.state, slot, shape, row)

    def draw(self, slot: str, shape: Shape, law: Law) -> Node:
        self.assembly.laws[self.prefix + slot] = law
        return _input(self.assembly.draws, self.assembly.tape, self.prefix + slot, shape)

    def _input(self, known: dict[str, Node], slot: str, shape: Shape, row: Parameter) -> Node:
        path = self.prefix + slot
        if self.catalogue is not None:
            name = str(self.table.get(slot, row.initializer))
            self.assembly.initializers[path] = _initializer(self.catalogue, name)
        return _input(known, self.assembly.tape, path, shape)


def _input(known: dict[str, Node], tape: list[Node], path: str, shape: Shape) -> Node:
    """The node of this name, made where it does not exist yet."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise FormulaError(f"{path} has {math.prod(shape):,} numbers (shape {shape}); at most {MAX_ELEMENTS:,}")
    if path not in known:
        known[path] = Node(tape, "input", shape=shape, name=path)
    if known[path].shape != shape:
        raise FormulaError(f"{path} has shape {known[path].shape}, this layer needs {shape}")
    return known[path]


def _initializer(catalogue: Catalogue, name: str) -> Initializer:
    row: Row | None = catalogue.rows.get(name)
    if not isinstance(row, Initializer):
        known = [one.name for one in catalogue.of_kind("initializer")]
        raise SpecError(f"initializer {name!r} is unknown; known: {choices(known)}")
    return row


def initial_parameters(assembly: Assembly, seed: int) -> dict[str, np.ndarray]:
    """Initial parameters in float64, drawn from (seed, name): the same for every backend, mode and layer order. Those
    that the network gives as `weights` start as written."""
    written = check_weights(assembly)
    return {
        name: written[name] if name in written else initialize(assembly.initializers[name], node.shape, seed, name)
        for name, node in assembly.params.items()
    }


def check_weights(assembly: Assembly) -> dict[str, np.ndarray]:
    """The parameters that the network gives as `weights`; SpecError where there is none of that name and shape."""
    unknown = assembly.fixed.keys() - assembly.params.keys()
    if unknown:
        raise SpecError(f"weights: no parameter is called {choices(unknown)}; parameters: {choices(assembly.params)}")
    return {name: _written(value, assembly.params[name].shape, name) for name, value in assembly.fixed.items()}


def initial_layer_state(assembly: Assembly, seed: int) -> dict[str, np.ndarray]:
    """The running statistics before the first step."""
    return {
        name: initialize(assembly.initializers[name], node.shape, seed, name) for name, node in assembly.state.items()
    }


def _written(value: Any, shape: Shape, name: str) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"weights.{name} = {value!r}: nested lists of numbers, of shape {shape}") from None
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise SpecError(f"weights.{name} has shape {array.shape}; finite numbers of shape {shape} are wanted")
    return array


def draw_masks(assembly: Assembly, seed: int, step: int) -> dict[str, np.ndarray]:
    """The random inputs of one training step: masks in which 1 keeps, and uniform numbers."""
    return {
        name: drawn(assembly.laws[name], node.shape, np.random.default_rng([seed, step, zlib.crc32(name.encode())]))
        for name, node in assembly.draws.items()
    }


def drawn(law: Law, shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """One draw by its law, in float64."""
    uniform = generator.random(shape)
    return (uniform < law.keep).astype(np.float64) if law.keep is not None else law.low + (law.high - law.low) * uniform


def add_regularizers(
    loss: Node, terms: Sequence[tuple[Formulated, Mapping[str, Any], str]], params: Mapping[str, Node]
) -> Node:
    """Add each regularizer to the loss, once for every parameter whose slot it names (`kernel`)."""
    for row, given, slot in terms:
        hyper, knobs = settings(row, given)
        for path, node in params.items():
            if path.rsplit(".", 1)[-1] == slot:
                loss = GRAPH["add"](loss, record_row(row, row.formula, {"w": node}, loss.tape, hyper, knobs))
    return loss

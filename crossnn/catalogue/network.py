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

from crossnn.catalogue.build import constant_value, constants, formula_graph, record_row, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Activation, Formulated, Initializer, Layer, Network, Row
from crossnn.errors import FormulaError, SpecError, choices
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Node, record
from crossnn.formula.limits import MAX_ELEMENTS
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.shapes import Shape
from crossnn.formula.source import compile_graph

INPUT = "input"


@dataclass
class Assembly:
    """A network while and after it is recorded, for one batch size, in training or in inference."""

    tape: list[Node]
    training: bool = True
    params: dict[str, Node] = field(default_factory=dict)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    draws: dict[str, Node] = field(default_factory=dict)
    keep: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)

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
    draws: Mapping[str, Node] | None = None,
    probes: Mapping[str, Node] | None = None,
) -> Assembly:
    """Record the forward computation of a network on input `x`. Parameters and draws that are not given become new
    inputs. A probe (a tensor of zeros, by layer name) is added to that layer's output: its gradient is the gradient
    with respect to the layer."""
    assembly = Assembly(x.tape, training, dict(params or {}), draws=dict(draws or {}), outputs={INPUT: x})
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
    slots = spec.params if isinstance(spec, Layer) else {}
    given = {key: value for key, value in table.items() if key not in ("layer", "name", "inputs", *slots)}
    hyper, knobs = settings(spec, given)
    names = dict(zip(wanted, inputs, strict=True))
    if isinstance(spec, Activation):
        return record_row(spec, spec.formula, names, assembly.tape, hyper, knobs)

    prefix = f"{name}." if name else ""
    dims = _dims(spec, inputs[0].shape, hyper)
    for slot, parameter in spec.params.items():
        if parameter.when and not knobs[parameter.when]:
            continue
        shape, path = tuple(_length(dim, dims[dim]) for dim in parameter.shape), prefix + slot
        names[slot] = _input(assembly.params, assembly.tape, path, shape)
        if catalogue is not None:
            assembly.initializers[path] = _initializer(catalogue, str(table.get(slot, parameter.initializer)))
    text = spec.formula if assembly.training or not spec.inference else spec.inference
    if text == spec.formula:
        for draw, keep in spec.draws.items():
            names[draw] = _input(assembly.draws, assembly.tape, prefix + draw, inputs[0].shape)
            assembly.keep[prefix + draw] = probability = constant_value(keep, hyper)
            if not 0 < probability <= 1:
                options = ", ".join(f"{key} = {value:g}" for key, value in hyper.items())
                raise SpecError(f"{options}: keeps with probability {keep} = {probability:g}, which is not in (0, 1]")
    return record(parse(text), {**constants(assembly.tape, hyper), **names}, assembly.tape, knobs)


def _input(known: dict[str, Node], tape: list[Node], path: str, shape: Shape) -> Node:
    """The node of this name, made where it does not exist yet."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise FormulaError(f"{path} has {math.prod(shape):,} numbers (shape {shape}); at most {MAX_ELEMENTS:,}")
    if path not in known:
        known[path] = Node(tape, "input", shape=shape, name=path)
    if known[path].shape != shape:
        raise FormulaError(f"{path} has shape {known[path].shape}, this layer needs {shape}")
    return known[path]


def _length(name: str, value: float) -> int:
    """A length of a parameter, which an option may have set to anything."""
    if not (1 <= value <= MAX_ELEMENTS and value == int(value)):
        raise SpecError(f"{name} = {value:g}; a whole number from 1 to {MAX_ELEMENTS:,}")
    return int(value)


def _dims(spec: Layer, shape: Shape, hyper: Mapping[str, float]) -> dict[str, float]:
    dims = dict(hyper)
    if spec.input:
        if len(shape) != len(spec.input):
            raise SpecError(f"input shape {shape} does not fit {spec.input}: flatten it first?")
        dims.update(zip(spec.input, shape, strict=True))
    return dims


def _initializer(catalogue: Catalogue, name: str) -> Initializer:
    row: Row | None = catalogue.rows.get(name)
    if not isinstance(row, Initializer):
        known = [one.name for one in catalogue.of_kind("initializer")]
        raise SpecError(f"initializer {name!r} is unknown; known: {choices(known)}")
    return row


def initial_parameters(assembly: Assembly, seed: int) -> dict[str, np.ndarray]:
    """Initial parameters in float64, drawn from (seed, name): the same for every backend, mode and layer order."""
    return {
        name: initialize(assembly.initializers[name], node.shape, seed, name) for name, node in assembly.params.items()
    }


def initialize(row: Initializer, shape: Shape, seed: int, name: str, hyper: Mapping[str, float] | None = None) -> Any:
    """One parameter from its initializer's formula."""
    draws = initializer_draws(shape, seed, name)
    graph = formula_graph(row, {key: value.shape for key, value in draws.items()}, hyper)
    values = compile_graph(graph, row.name, NUMPY)(**draws)
    return np.broadcast_to(values, shape).astype(np.float64)


def initializer_draws(shape: Shape, seed: int, name: str) -> dict[str, np.ndarray]:
    """The random numbers of one parameter, and its fans: inputs of the last two axes times the receptive field."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    field_size = int(np.prod(shape[:-2])) if len(shape) > 2 else 1
    fan_in = shape[-2] * field_size if len(shape) > 1 else shape[0]
    fan_out = shape[-1] * field_size
    return {
        "u": generator.random(shape),
        "z": generator.standard_normal(shape),
        "fan_in": np.array(float(fan_in)),
        "fan_out": np.array(float(fan_out)),
    }


def draw_masks(assembly: Assembly, seed: int, step: int) -> dict[str, np.ndarray]:
    """The Bernoulli masks of one training step: 1 keeps, with the layer's probability."""
    masks = {}
    for name, node in assembly.draws.items():
        generator = np.random.default_rng([seed, step, zlib.crc32(name.encode())])
        masks[name] = (generator.random(node.shape) < assembly.keep[name]).astype(np.float64)
    return masks


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

"""The graphs that TensorFlow makes of a function: as traced, after Grappler, and as HLO before and after XLA."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from crossnn.adapter import Function, Tree
from crossnn.drawing.hlo import hlo_view
from crossnn.drawing.making import attempt, named
from crossnn.drawing.view import Kind, Vertex, View
from crossnn.formula.graph import leaves, map_tree
from crossnn.trace.executed import view_of_run

from .tensorflow_trace import watched

INPUTS = ("Placeholder", "_Arg")
RESULTS = ("Identity", "_Retval")
"""Nodes that only carry a value; where they end a graph they are no vertices."""


def views(f: Function, arguments: Sequence[Tree], mode: str, array: Callable[[Any], np.ndarray]) -> Iterator[View]:
    """Eager: what ran. Graph: as traced, and after Grappler. XLA: its HLO, before and after."""
    if mode == "eager":
        yield attempt(
            "tensorflow", "executed", lambda: view_of_run("tensorflow", watched(f, arguments, array, None)[1])
        )
        return
    names = list(leaves(named(f, arguments)))
    tensors = [tf.convert_to_tensor(one) for one in leaves(list(arguments))]

    def flat(*given: Any) -> tuple[Any, ...]:
        each = iter(given)
        return tuple(tf.convert_to_tensor(one) for one in leaves(f(*map_tree(lambda _: next(each), list(arguments)))))

    if mode == "xla":
        yield from _xla(flat, tensors, names)
    elif mode == "graph":
        made: list[Any] = []

        def concrete() -> Any:
            if not made:
                specs = [tf.TensorSpec(one.shape, one.dtype) for one in tensors]
                made.append(tf.function(flat, autograph=False).get_concrete_function(*specs))
            return made[0]

        yield attempt("tensorflow", "graph", lambda: _traced(concrete(), names))
        yield attempt("tensorflow", "after Grappler", lambda: _optimised(concrete(), tensors, names), public=False)


def _xla(flat: Function, tensors: Sequence[Any], names: Sequence[str]) -> Iterator[View]:
    compiled: list[Any] = []

    def text(stage: str) -> str:
        if not compiled:
            tf.random.set_seed(0)  # asking for the text wants one where operations are deterministic, and draws nothing
            function = tf.function(flat, autograph=False, jit_compile=True)
            compiled.append(function.experimental_get_compiler_ir(*tensors))
        return str(compiled[0](stage=stage))

    def read(shown: str, stage: str) -> View:
        note = "experimental_get_compiler_ir; the text of HLO is no stable interface"
        return hlo_view(text(stage), "tensorflow", shown, names, note=note)

    for shown, stage in (("HLO", "hlo"), ("optimised HLO", "optimized_hlo")):
        yield attempt("tensorflow", shown, partial(read, shown, stage))


def _traced(concrete: Any, names: Sequence[str]) -> View:
    definition = concrete.graph.as_graph_def()
    inputs = [one.op.name for one in concrete.inputs]
    results = [one.op.name for one in concrete.outputs]
    return _view("graph", definition, dict(zip(inputs, names, strict=False)), results)


def _optimised(concrete: Any, tensors: Sequence[Any], names: Sequence[str]) -> View:
    """Graphs of functions are collected while one runs for the first time. Every operation that runs eagerly is a
    little function too: ours is the one with as many arguments, and the largest of those. Private: TensorFlow has a
    public way to the same graphs only through the event files of a profiler."""
    from tensorflow.python.eager import context

    context.enable_run_metadata()
    try:
        concrete(*tensors)
        found = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    graphs = [
        one.post_optimization_graph
        for one in found
        if sum(node.op == "_Arg" for node in one.pre_optimization_graph.node) == len(concrete.inputs)
    ]
    if not graphs:
        raise ValueError("TensorFlow collected no graph of this function")
    chosen = max(graphs, key=lambda graph: len(graph.node))
    inputs = {
        node.name: names[node.attr["index"].i]
        for node in chosen.node
        if node.op == "_Arg" and node.attr["index"].i < len(names)
    }
    results = [node.name for node in chosen.node if node.op == "_Retval"]
    return _view("after Grappler", chosen, inputs, results, public=False)


def _view(stage: str, definition: Any, names: Mapping[str, str], results: Sequence[str], public: bool = True) -> View:
    """A GraphDef; the nodes that only carry a result out of the graph are left out."""
    nodes = {node.name: node for node in definition.node}
    used = {_source(one) for node in definition.node for one in node.input}
    ends = {name for name in results if nodes[name].op in RESULTS and name not in used}

    def through(name: str) -> str:
        while name in ends:
            name = _source(nodes[name].input[0])
        return name

    vertices = [
        Vertex(
            node.name, str(node.op), tuple(_source(one) for one in node.input if not one.startswith("^")),
            _kind(node), names.get(node.name) or _number(node), _shape(node),
        )
        for node in definition.node
        if node.name not in ends and node.op != "NoOp"
    ]  # fmt: skip
    known = {one.key for one in vertices}
    complete = tuple(
        Vertex(one.key, one.operation, tuple(key for key in one.inputs if key in known), one.kind, one.name, one.shape)
        for one in vertices
    )
    kept = tuple(dict.fromkeys(through(name) for name in results))
    note = "nodes that only carry a result out are left out" if ends else ""
    return View("tensorflow", stage, complete, kept, str(definition), public, note)


def _source(text: str) -> str:
    """The node of an input such as `^node` or `node:1`."""
    return text.lstrip("^").split(":")[0]


def _kind(node: Any) -> Kind:
    return "input" if node.op in INPUTS else "constant" if node.op == "Const" else "operation"


def _number(node: Any) -> str:
    """The number of a constant."""
    if node.op != "Const":
        return ""
    value = tf.make_ndarray(node.attr["value"].tensor)
    return f"{value.item():.6g}" if value.size == 1 and value.dtype.kind in "fiu" else ""


def _shape(node: Any) -> str:
    """The shape where the node tells one."""
    kinds = [node.attr[key].type for key in ("dtype", "T", "DstT") if key in node.attr and node.attr[key].type]
    kind = tf.dtypes.as_dtype(kinds[0]).name if kinds else ""
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else []
    given = shapes[0] if shapes else node.attr["shape"].shape if node.op == "Placeholder" else None
    if given is None:
        return kind
    return f"{kind}{[one.size for one in given.dim]}"

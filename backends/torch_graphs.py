"""The graphs that PyTorch makes of a function: autograd's, dynamo's, core ATen, and inductor's kernels."""

from __future__ import annotations

import re
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np
import torch

from crossnn.adapter import Function, Tree
from crossnn.drawing.making import attempt, named
from crossnn.drawing.view import Kind, Vertex, View
from crossnn.formula.graph import leaves, map_tree
from crossnn.trace.executed import view_of_run

from .torch_autograd import autograd_view
from .torch_kernels import kernel_view
from .torch_trace import watched


def views(
    f: Function,
    arguments: Sequence[Tree],
    mode: str,
    array: Callable[[Any], np.ndarray],
    compiled: Callable[[Function], Function],
) -> Iterator[View]:
    """Eager: what ran, and the graph for derivatives, where the function makes one. Compiled: what dynamo captured, the
    same in core ATen operations as AOTAutograd hands it on, and last, since it takes seconds, inductor's kernels."""
    names = list(leaves(named(f, arguments)))
    if mode == "eager":
        yield attempt("torch", "executed", lambda: view_of_run("torch", watched(f, arguments, array, None)[1]))
        yield attempt("torch", "autograd", lambda: autograd_view(f, arguments))
        return
    captured: dict[str, Any] = {}

    def capture(stage: str) -> Any:
        if not captured:
            captured.update(_captured(f, arguments))
        return captured[stage]

    def used() -> list[str]:
        return _used(capture("captured"), names)

    yield attempt("torch", "captured", lambda: _fx("captured", capture("captured"), used(), "torch.fx, by dynamo"))
    yield attempt(
        "torch", "core ATen", lambda: _fx("core ATen", capture("core ATen"), used(), "by AOTAutograd"), public=False
    )
    yield attempt("torch", "kernels", lambda: _kernels(f, arguments, used(), compiled), public=False)


def _flat(f: Function, arguments: Sequence[Tree]) -> tuple[Callable[..., Any], list[Any]]:
    """The function of a flat list of tensors, and the tensors. Dynamo counts recompilations for each code object: each
    function has one of its own."""
    tensors = [torch.as_tensor(one).detach() for one in leaves(list(arguments))]

    def flat(*given: Any) -> tuple[Any, ...]:
        each = iter(given)
        return tuple(leaves(f(*map_tree(lambda _: next(each), list(arguments)))))

    own = types.FunctionType(flat.__code__.replace(), flat.__globals__, flat.__name__, None, flat.__closure__)
    return own, tensors


def _captured(f: Function, arguments: Sequence[Tree]) -> dict[str, Any]:
    """Dynamo's graph, and what AOTAutograd makes of it with the decompositions of core ATen. Nothing is compiled."""
    from torch._decomp import core_aten_decompositions
    from torch._dynamo.backends.common import aot_autograd

    flat, tensors = _flat(f, arguments)
    found: dict[str, Any] = {}

    def keep(graph: Any, inputs: Any) -> Any:
        found["core ATen"] = graph
        return graph.forward

    lowered = aot_autograd(fw_compiler=keep, bw_compiler=keep, decompositions=core_aten_decompositions())

    def backend(graph: Any, inputs: Any) -> Any:
        found["captured"] = graph
        return lowered(graph, inputs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.compile(flat, backend=backend, fullgraph=True, dynamic=False)(*tensors)
    if not found:
        raise ValueError("dynamo found no operation in this function")
    return found


def _used(graph: Any, names: Sequence[str]) -> list[str]:
    """The names of the arguments that dynamo kept, in its order: it calls them `L_given_0_`."""
    found = []
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            place = re.search(r"given_(\d+)_", f"{node.target}_")
            found.append(names[int(place[1])] if place else str(node.name))
    return found


def _fx(stage: str, graph: Any, names: Sequence[str], note: str) -> View:
    vertices: list[Vertex] = []
    results: list[str] = []
    placed = 0
    for node in graph.graph.nodes:
        if node.op == "output":
            results = [one.name for one in node.all_input_nodes]
            continue
        kind: Kind = "input" if node.op == "placeholder" else "constant" if node.op == "get_attr" else "operation"
        name = ""
        if kind == "input":
            name, placed = (names[placed] if placed < len(names) else node.name), placed + 1
        inputs = []
        for place, one in enumerate(_operands(node)):
            if isinstance(one, str):
                key = f"{node.name}.{place}"
                vertices.append(Vertex(key, "constant", (), "constant", one))
                inputs.append(key)
            else:
                inputs.append(one.name)
        vertices.append(Vertex(node.name, _target(node), tuple(inputs), kind, name, _shape(node)))
    text = re.sub(r"^\s*# File: .*\n", "", graph.print_readable(print_output=False), flags=re.MULTILINE)
    return View("torch", stage, tuple(vertices), tuple(dict.fromkeys(results)), text, note=note)


def _operands(node: Any) -> Iterator[Any]:
    """Nodes, and plain numbers as text; sizes and axes are options."""
    for one in node.args:
        if isinstance(one, torch.fx.Node):
            yield one
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield f"{one:.6g}"
        elif isinstance(one, list | tuple):
            yield from (inner for inner in one if isinstance(inner, torch.fx.Node))
    yield from (one for one in node.kwargs.values() if isinstance(one, torch.fx.Node))


def _target(node: Any) -> str:
    """`aten.mul.Tensor` as mul, a builtin function or a method by its name."""
    packet = getattr(node.target, "overloadpacket", None)
    if packet is not None:
        return str(packet.__name__)
    return str(getattr(node.target, "__name__", node.target))


def _shape(node: Any) -> str:
    value = node.meta.get("val", node.meta.get("example_value"))
    if not isinstance(value, torch.Tensor):
        return ""
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


def _kernels(
    f: Function, arguments: Sequence[Tree], names: Sequence[str], compiled: Callable[[Function], Function]
) -> View:
    """What inductor writes, caught as it is written: compiled once more, since a cache would say nothing."""
    import torch._inductor.config as settings
    from torch._inductor.graph import GraphLowering

    flat, tensors = _flat(f, arguments)
    texts: list[str] = []
    fresh, caught = (
        settings.patch(force_disable_caches=True),
        mock.patch.object(GraphLowering, "save_output_code", texts.append),
    )
    with warnings.catch_warnings(), fresh, caught:
        warnings.simplefilter("ignore")
        compiled(flat)(*tensors)
    if not texts:
        raise ValueError("inductor wrote no text")
    return kernel_view(max(texts, key=len), names)

"""The graph that autograd keeps while a function runs eagerly: what `backward` will walk over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from crossnn.adapter import Function, Tree
from crossnn.drawing.view import Vertex, View
from crossnn.formula.graph import leaves, map_tree


class _Backward(TorchFunctionMode):  # type: ignore[misc]
    """Sees what is differentiated within a function."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Any] = []

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.autograd.grad:
            outputs = args[0] if args else (kwargs or {})["outputs"]
            self.roots += [one.grad_fn for one in ([outputs] if isinstance(outputs, torch.Tensor) else outputs)]
        return func(*args, **(kwargs or {}))


def _differentiated(f: Function, arguments: Sequence[Tree]) -> list[Any]:
    """The nodes at which differentiations within f begin; where there is none, those of the results of f itself."""
    given = map_tree(_leaf, list(arguments))
    with _Backward() as seen:
        result = f(*given)
    own = [one.grad_fn for one in leaves(result) if isinstance(one, torch.Tensor)]
    found = [one for one in seen.roots or own if one is not None]
    if not found:
        raise ValueError("the results come from no operation that autograd differentiates")
    return found


def _leaf(value: Any) -> Any:
    tensor = torch.as_tensor(value).detach()
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def autograd_view(f: Function, arguments: Sequence[Tree]) -> View:
    """`grad_fn.next_functions`: each node takes the gradient of a result and gives those of the operands, so the arrows
    of this graph go from the result to the parameters."""
    roots = _differentiated(f, arguments)
    vertices: dict[Any, Vertex] = {}
    inputs: dict[Any, list[str]] = {}
    order: list[Any] = []
    pending = list(roots)
    keys: dict[Any, str] = {}
    for root in pending:
        keys.setdefault(root, f"g{len(keys)}")
    ends: list[Any] = []
    while pending:
        node = pending.pop(0)
        if node in vertices:
            continue
        name = node.name().split("::")[-1]
        shape = ""
        if hasattr(node, "variable"):
            shape = f"{str(node.variable.dtype).removeprefix('torch.')}{list(node.variable.shape)}"
            ends.append(node)
        vertices[node] = Vertex(keys[node], name, shape=shape)
        order.append(node)
        for follower, _ in node.next_functions:
            if follower is None:
                continue
            keys.setdefault(follower, f"g{len(keys)}")
            inputs.setdefault(follower, []).append(keys[node])
            pending.append(follower)
    made = tuple(
        Vertex(one.key, one.operation, tuple(inputs.get(node, ("g",))), "operation", "", one.shape)
        for node, one in ((node, vertices[node]) for node in order)
    )
    start = Vertex("g", "gradient of the result", (), "input", "g")
    text = "\n".join(f"{one.key} = {one.operation}({', '.join(one.inputs)})" for one in made)
    results = tuple(keys[node] for node in ends) or tuple(keys[node] for node in order[-1:])
    note = "from the gradient of the result to those of the arguments"
    return View("torch", "autograd", (start, *made), results, text, note=note)

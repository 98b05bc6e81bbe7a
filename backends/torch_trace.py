"""What PyTorch runs: every ATen operation, forward and backward, seen by a `TorchDispatchMode`.

The mode stands below autograd, where tensors have no history. So the public calls above it are seen too, by a
`TorchFunctionMode`: the tensor that a call returns has a history, and its gradient is that of the last operation which
the call made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from crossnn.adapter import Function, Tree
from crossnn.drawing.making import named
from crossnn.formula.graph import leaves, map_tree
from crossnn.trace.executed import WEIGHTS, Executed, Log


def watched(
    f: Function, arguments: Sequence[Tree], array: Callable[[Any], np.ndarray], cotangent: np.ndarray | None
) -> tuple[Tree, list[Executed]]:
    wanted = cotangent is not None
    given = map_tree(lambda one: _leaf(one, wanted), list(arguments))
    names = list(leaves(named(f, arguments)))
    _once(f, given, names, array, cotangent)  # the first time costs more
    return _once(f, given, names, array, cotangent)


def _once(
    f: Function, given: Sequence[Tree], names: Sequence[str], array: Callable[[Any], np.ndarray],
    cotangent: np.ndarray | None,
) -> tuple[Tree, list[Executed]]:  # fmt: skip
    log = Log(array, _holder)
    for name, tensor in zip(names, leaves(given), strict=True):
        log.argument(name, tensor)
    operations = _Operations(log)
    calls = _Calls(log, operations)
    with operations, calls:
        result = f(*given)
    target = next(iter(leaves(result)))
    found: dict[int, np.ndarray] = {}
    if cotangent is not None and isinstance(target, torch.Tensor) and target.requires_grad:
        sources = {place: one for place, one in enumerate(leaves(given)) if one.requires_grad} | calls.made
        operations.backward = True
        seed = torch.as_tensor(cotangent, dtype=target.dtype, device=target.device)
        if seed.numel() > 1:
            log.call(seed, WEIGHTS)
        with operations:
            gradients = torch.autograd.grad(target, list(sources.values()), seed, allow_unused=True)
        found = {
            place: array(one) for place, one in zip(sources, gradients, strict=True) if one is not None
        }  # fmt: skip
    return map_tree(_plain, result), log.finish(leaves(result), found)


def _leaf(value: Any, wanted: bool) -> Any:
    tensor = torch.as_tensor(value).detach()
    return tensor.requires_grad_() if wanted and tensor.is_floating_point() else tensor


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def _holder(tensor: Any) -> Any:
    """A view that autograd took of a tensor is the same value: where it lies, and how."""
    if not isinstance(tensor, torch.Tensor) or not tensor.numel():
        return id(tensor)
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype


class _Operations(TorchDispatchMode):  # type: ignore[misc]
    """Writes down every operation that reaches the kernels."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log, self.backward, self.detaching = log, False, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = list(self._inputs((*args, *(kwargs or {}).values())))
        begin = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        seconds = time.perf_counter() - begin
        outputs = [one for one in leaves(result) if isinstance(one, torch.Tensor)]
        if func.overloadpacket is torch.ops.aten.detach and not self.detaching:
            return result  # how autograd keeps a result for its own use: nothing is computed
        self.log.add(func.overloadpacket.__name__, inputs, outputs, seconds, backward=self.backward)
        return result

    def _inputs(self, tree: Any) -> Iterator[str]:
        for one in tree:
            if isinstance(one, torch.Tensor):
                yield self.log.key(one)
            elif isinstance(one, list | tuple) and any(isinstance(inner, torch.Tensor) for inner in one):
                yield from self._inputs(one)
            elif isinstance(one, bool | int | float):
                yield f"{one:.6g}" if isinstance(one, float) else str(one)
            elif isinstance(one, list | tuple):
                yield str(list(one))


class _Calls(TorchFunctionMode):  # type: ignore[misc]
    """Keeps what public calls return, by the number of the last operation that each made."""

    def __init__(self, log: Log, operations: _Operations) -> None:
        super().__init__()
        self.log, self.operations = log, operations
        self.made: dict[int, Any] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = len(self.log.entries)
        self.operations.detaching = getattr(func, "__name__", "") == "detach"
        result = func(*args, **(kwargs or {}))
        self.operations.detaching = False
        if len(self.log.entries) > before and isinstance(result, torch.Tensor) and result.requires_grad:
            self.made[len(self.log.entries) - 1] = result
        return result

"""PyTorch in the lesson: eager, captured by Dynamo without a compiler behind it, and compiled by Inductor."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crossnn.adapter import Adapter, Function
from crossnn.lesson.protocol import Compiler


def spelling() -> Mapping[str, str]:
    return {"log": "torch.log(h)", "total": "torch.sum(x)", "pick": "x[i]"}


def namespace(adapter: Adapter) -> Mapping[str, Any]:
    return {"torch": torch}


class Captured:
    """torch.compile with a backend that counts the graphs which it is given, and runs them as they are."""

    def __init__(self, f: Function) -> None:
        self.made = 0
        self._call = torch.compile(f, backend=self._count, dynamic=False)

    def _count(self, module: Any, inputs: Any) -> Callable[..., Any]:
        self.made += 1
        forward: Callable[..., Any] = module.forward
        return forward

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


def compilers(adapter: Adapter) -> Mapping[str, Compiler]:
    def whole(f: Function) -> Function:
        compiled: Function = torch.compile(f)
        return compiled

    return {"eager": lambda f: f, "captured": Captured, "compiled": whole}


def slow() -> tuple[str, ...]:
    return ("compiled",)


def quick_views() -> Mapping[str, int]:
    """What Dynamo captured, and its core ATen operations; Inductor comes after these."""
    return {"compiled": 2}


def graphs(compiled: Function) -> int | None:
    return compiled.made if isinstance(compiled, Captured) else None


def own_memory_name() -> str:
    return "TorchDispatchMode"


class _Allocations(TorchDispatchMode):  # type: ignore[misc]
    """Bytes of the results of all operations that are alive at once: torch counts no memory on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._follow(result)
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        size = tensor.untyped_storage().nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(tensor, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def own_memory(compiled: Function, arguments: tuple[Any, ...], mode: str) -> int | None:
    """Eager alone: of what compiled code allocates, no operation tells."""
    if mode != "eager":
        return None
    with _Allocations() as seen:
        compiled(*arguments)
    return int(seen.peak)


def if_positive(x: torch.Tensor) -> torch.Tensor:
    if torch.sum(x) > 0:
        return x * 2
    return x - 1


def cond_positive(x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.cond(torch.sum(x) > 0, lambda x: x * 2, lambda x: x - 1, (x,))
    return result


def own_ways() -> Iterator[Mapping[str, Any]]:
    points = [torch.tensor([point, 0.0], dtype=torch.float64) for point in (3.0, -3.0)]
    code = "torch.where(torch.sum(x) > 0, x*2, x - 1)"
    values = [float(torch.where(torch.sum(x) > 0, x * 2, x - 1)[0]) for x in points]
    yield {"way": "torch.where", "code": code, "values": values, "inside": [], "note": ""}
    captured: list[Any] = []

    def keep(module: Any, inputs: Any) -> Callable[..., Any]:
        captured.append(module)
        forward: Callable[..., Any] = module.forward
        return forward

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        explained = torch._dynamo.explain(if_positive)(points[0])
        code = inspect.getsource(if_positive)
        note = f"{explained.graph_count} graphs, {explained.graph_break_count} graph breaks"
        yield {"way": "torch._dynamo.explain", "code": code, "values": [float(if_positive(x)[0]) for x in points],
               "inside": [], "note": note, "breaks": explained.graph_break_count}  # fmt: skip
        whole = torch.compile(cond_positive, backend=keep, fullgraph=True)
        values = [float(whole(x)[0]) for x in points]
        inside = sorted(
            {str(node.target) for one in captured for node in one.graph.nodes if "cond" in str(node.target)}
        )
        inside = [name for name in inside if not name.startswith("cond_")]
    yield {
        "way": "torch.cond",
        "code": inspect.getsource(cond_positive),
        "values": values,
        "inside": inside,
        "note": "",
    }

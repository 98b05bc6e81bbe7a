"""A graph as an engine shows it: ours, a jaxpr, optimised HLO, a TensorFlow graph, torch.fx; one shape for all.

What draws, counts or compares graphs knows nothing of the engine that made them, and engines know nothing of pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "constant", "operation", "fused"]


@dataclass(frozen=True)
class Vertex:
    """One value of a graph. `key` is unique in its view; `operation` is what the engine calls it; `inputs` are keys in
    order; `name` is that of an argument or variable; `within` is the key of the fused vertex that holds this one."""

    key: str
    operation: str
    inputs: tuple[str, ...] = ()
    kind: Kind = "operation"
    name: str = ""
    shape: str = ""
    within: str = ""


@dataclass(frozen=True)
class View:
    """A graph at one stage of its life. `text` is the engine's own print of it; `public` says whether it was got
    through an interface that the framework promises to keep; `note` is what a reader must know besides."""

    engine: str
    stage: str
    vertices: tuple[Vertex, ...]
    results: tuple[str, ...]
    text: str = ""
    public: bool = True
    note: str = ""

    @property
    def operations(self) -> Mapping[str, int]:
        """How often each operation occurs; what lies within a fused vertex counts, the vertex itself does not."""
        return Counter(one.operation for one in self.vertices if one.kind == "operation")

    @property
    def kernels(self) -> int:
        """What is started one after the other: fused vertices, and operations that are in none."""
        return sum(one.kind == "fused" or (one.kind == "operation" and not one.within) for one in self.vertices)

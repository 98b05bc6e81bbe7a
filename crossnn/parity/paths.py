"""The update of an optimizer in one of its cases, as graphs: one step, and several in a row.

Made once for all seeds, which differ in numbers only.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import slot_shape, update_graph
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.formula.simplify import simplify

STEPS = 8
PARAM = "w"


@dataclass
class Path:
    """One case of an optimizer, for a parameter of this shape."""

    row: Optimizer
    hyper: Mapping[str, float]
    knobs: Mapping[str, Any]
    shape: Shape

    @cached_property
    def stated(self) -> Graph:
        """update(params, gradients, state, lr, t) -> (params, state), as the row states it."""
        return update_graph(self.row, {PARAM: self.shape}, self.hyper, self.knobs)

    @cached_property
    def step(self) -> Graph:
        """The update as a backend computes it."""
        return simplify(self.stated)

    @cached_property
    def truth(self) -> Graph:
        """All steps of the stated update: the parameters and the state after each."""
        return self._unrolled(self.stated)

    @cached_property
    def run(self) -> Graph:
        """All steps as a backend computes them, each simplified by itself."""
        return self._unrolled(self.step)

    def _unrolled(self, one: Graph) -> Graph:
        shapes = {
            "w": self.shape,
            "state": {slot: slot_shape(self.row, slot, self.shape) for slot in self.row.state},
            "gradients": {str(k): self.shape for k in range(STEPS)},
            "rates": {str(k): () for k in range(STEPS)},
            "counts": {str(k): () for k in range(STEPS)},
        }

        def function(w: Node, state: Any, gradients: Any, rates: Any, counts: Any) -> Any:
            results = []
            for k in map(str, range(STEPS)):
                arguments = {
                    "params": {PARAM: w},
                    "gradients": {PARAM: gradients[k]},
                    "state": {slot: {PARAM: value} for slot, value in state.items()},
                    "lr": rates[k],
                    "t": counts[k],
                }
                params, slots = replay(one, arguments, w.tape)
                w, state = params[PARAM], {slot: value[PARAM] for slot, value in slots.items()}
                results.append({"w": w, **state})
            return tuple(results)

        return Graph.trace(function, shapes)


_PATHS: dict[Hashable, Path] = {}
_MOST = 1000


def path_of(row: Optimizer, hyper: Mapping[str, float], knobs: Mapping[str, Any], shape: Shape) -> Path:
    """The path of this case; the same one whenever everything that the row says is the same."""
    key = (msgspec.json.encode(row), tuple(hyper.items()), tuple(knobs.items()), shape)
    if key not in _PATHS:
        if len(_PATHS) >= _MOST:
            _PATHS.clear()
        _PATHS[key] = Path(row, hyper, knobs, shape)
    return _PATHS[key]

"""What the axes of a value are called, as far as that follows from the inputs of a formula.

A sum can then say over what it goes. Where nothing follows, nothing is said.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.formula import shapes
from crossnn.formula.primitives import PRIMITIVES

Axes = tuple[str, ...] | None
"""What the axes of a value are called: `channels`, `4*units`, "" without a name, "..." for any number of axes. None
where nothing is known."""

Named = Mapping[str, Axes]
"""The axes of each name. Those of `shape` are the axes of the first input; a single number has none: ()."""

SETS = {"leading": "all axes but the last", "spatial": "spatial axes"}
"""Sets of axes that an option may name."""


def places(axis: Any, axes: Axes, named: Named) -> tuple[int, ...] | None:
    """The places in `axes` that an option names; None where they cannot be told."""
    if axes is None:
        return None
    count = len(axes)
    if axis is None:
        return tuple(range(count))
    if isinstance(axis, ast.Name) and axis.id in SETS and count and axes == named.get("shape"):
        ends = (axes[-1],) if axis.id == "leading" else (axes[0], axes[-1])
        return None if "..." in ends else tuple(range(axis.id == "spatial", count - 1))
    if isinstance(axis, ast.expr):
        return None
    found = [axis] if isinstance(axis, int) else list(axis)
    if any(not -count <= one < count or "..." in (axes[one:] if one < 0 else axes[: one + 1]) for one in found):
        return None
    return tuple(one % count for one in found)


def axes_of(name: str, inputs: Sequence[Axes], values: Mapping[str, Any], named: Named) -> Axes:
    """The axes of a result, by the shape rule of its primitive."""
    axes = inputs[0]
    match PRIMITIVES[name].shape:
        case shapes.broadcast:
            return _aligned(inputs)
        case shapes.along:
            return axes
        case shapes.reduction:
            kept = values.get("keepdims", False)
            which = places(values["axis"], axes, named)
            if values["axis"] is None and kept is False:
                return ()
            if axes is None or which is None or not isinstance(kept, bool):
                return None
            return axes if kept else tuple(one for place, one in enumerate(axes) if place not in which)
        case shapes.reshaped | shapes.stretched:
            return _reshaped(values["shape"], axes, named)
        case shapes.windowed if axes is not None and len(axes) > 2 and "..." not in axes:
            return (*axes[:-1], *["window"] * (len(axes) - 2), axes[-1])
    return None


def _reshaped(shape: Any, axes: Axes, named: Named) -> Axes:
    """The axes of a shape that is written out. -1 is the one axis that the others do not mention."""
    if isinstance(shape, ast.Name):
        return named.get(shape.id)
    parts = shape.elts if isinstance(shape, ast.Tuple | ast.List) else shape
    if not isinstance(parts, list | tuple):
        return None
    written = [one for part in parts if isinstance(part, ast.expr) for one in ast.walk(part)]
    names = {one.id for one in written if isinstance(one, ast.Name)}
    if any(named.get(name) != () for name in names):
        return None
    rest = [called(axes, place) for place, one in enumerate(axes or ()) if one not in names]
    left = rest[0] if len(rest) == 1 else ""
    values = [literal(part) if isinstance(part, ast.expr) else part for part in parts]
    return tuple(ast.unparse(one) if isinstance(one, ast.expr) else left if one == -1 else "" for one in values)


def literal(node: ast.expr) -> Any:
    """The value of an option where it is written out, else the option as it was read."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return node


def called(axes: Axes, place: int) -> str:
    """The name of an axis; any number of axes between the first and the last are the spatial ones."""
    assert axes is not None
    return axes[place] if axes[place] != "..." else "spatial" if (len(axes), place) == (3, 1) else ""


def _aligned(inputs: Sequence[Axes]) -> Axes:
    """Broadcasting: aligned from the right; None where one is unknown, or names differ."""
    known = [axes for axes in inputs if axes is not None]
    longest = max(known, key=len, default=())
    same = all(axes == longest[len(longest) - len(axes) :] for axes in known)
    return longest if same and len(known) == len(inputs) else None

"""Changes of whole rows: lines in another order, state read too early or never renewed, training taken for inference,
and networks whose layers are exchanged, dropped or set otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from crossnn.catalogue.rows import Layer, Network, Optimizer, Row
from crossnn.formula.grammar import parse_assignment

Change = tuple[str, str, str, str, Row]
"""(operator, place, original, mutant, changed row)."""

STALE = "earlier_"
"""How the copy of a state is called that is taken before anything renews it."""

_OTHERS: Mapping[str, str] = {
    "relu": "leaky_relu", "leaky_relu": "relu", "tanh": "sigmoid", "sigmoid": "tanh", "selu": "elu", "elu": "selu",
    "softmax": "log_softmax", "heaviside": "sigmoid", "max_pool2d": "average_pool2d", "average_pool2d": "max_pool2d",
    "batch_norm": "layer_norm", "layer_norm": "rms_norm", "add": "multiply", "multiply": "add", "gelu": "silu",
}  # fmt: skip
"""What is taken for a layer by mistake."""


def exchanged(row: Row) -> Iterator[Change]:
    """The mutants of a row as a whole."""
    match row:
        case Optimizer():
            yield from _reordered(row, "update", row.update)
            yield from _stale(row, "update", row.update, list(row.state))
            yield from _frozen(row, row.update, ["w", *row.state])
        case Layer():
            yield from _reordered(row, "step", row.step)
            yield from _stale(row, "step", row.step, list(row.carry))
            yield from _frozen(row, row.update, list(row.state))
            if row.inference:
                yield "training mixed up", "inference", row.inference, row.formula, _with(row, inference=row.formula)
                yield "training mixed up", "formula", row.formula, row.inference, _with(row, formula=row.inference)
        case Network():
            yield from _network(row)


def _with(row: Row, **fields: Any) -> Row:
    return msgspec.structs.replace(row, **fields)


def _reordered(row: Row, key: str, lines: Sequence[str]) -> Iterator[Change]:
    for place in range(len(lines) - 1):
        one, other = lines[place : place + 2]
        changed = [*lines[:place], other, one, *lines[place + 2 :]]
        yield "line order", f"{key}[{place}]", f"{one}; {other}", f"{other}; {one}", _with(row, **{key: changed})


def _stale(row: Row, key: str, lines: Sequence[str], slots: Sequence[str]) -> Iterator[Change]:
    """After a slot is renewed, a line still reads what it was before."""
    for slot in slots:
        renewed = False
        for place, text in enumerate(lines):
            line = parse_assignment(text)
            if renewed and slot in line.names:
                new = f"{line.target} = " + re.sub(rf"\b{slot}\b", STALE + slot, line.body)
                copy = f"{STALE}{slot} = {slot}"
                changed = [copy, *lines[:place], new, *lines[place + 1 :]]
                yield "stale state", f"{key}[{place}]", text, new, _with(row, **{key: changed})
            renewed = renewed or line.target == slot


def _frozen(row: Row, lines: Sequence[str], slots: Sequence[str]) -> Iterator[Change]:
    """A line is not there, so that what it renews stays what it was."""
    for place, text in enumerate(lines):
        target = parse_assignment(text).target
        if target in (*slots, "g"):
            new = f"{target} = {target}"
            changed = [*lines[:place], new, *lines[place + 1 :]]
            yield "line dropped", f"update[{place}]", text, new, _with(row, update=changed)


def _network(row: Network) -> Iterator[Change]:
    layers = [dict(layer) for layer in row.layers]
    names = [str(layer.get("name", layer["layer"])) for layer in layers]
    for place in range(len(layers) - 1):
        if any("inputs" in layer for layer in layers[place : place + 2]):
            continue
        changed = [*layers[:place], layers[place + 1], layers[place], *layers[place + 2 :]]
        both = names[place : place + 2]
        yield "layer order", f"layer {place + 1}", " > ".join(both), " > ".join(both[::-1]), _with(row, layers=changed)
    for place, layer in enumerate(layers):
        before, after = layers[:place], layers[place + 1 :]
        kind, name, where = str(layer["layer"]), names[place], f"layer {place + 1}"
        yield "layer dropped", where, name, "", _with(row, layers=[*before, *_redirected(after, name, layers, place)])
        if kind in _OTHERS:
            other = _OTHERS[kind]
            taken = [*before, {**layer, "layer": other, "name": name}, *after]
            yield "layer exchanged", where, kind, other, _with(row, layers=taken)
        inputs = layer.get("inputs")
        if isinstance(inputs, list) and len(inputs) > 1:
            turned = [*before, {**layer, "inputs": inputs[::-1]}, *after]
            yield "arguments swapped", where, f"{inputs}", f"{inputs[::-1]}", _with(row, layers=turned)
        if kind == "dense" and layer.get("use_bias", True):
            bare = [*before, {**layer, "use_bias": False}, *after]
            yield "setting", where, f"{name} with a bias", "without", _with(row, layers=bare, weights={})
        for key, value in layer.items():
            if isinstance(value, float) and not value.is_integer():
                moved = [*before, {**layer, key: value * (1 + 1e-6)}, *after]
                yield "setting", where, f"{key} = {value!r}", f"{value * (1 + 1e-6)!r}", _with(row, layers=moved)


def _redirected(after: Sequence[Mapping[str, Any]], name: str, layers: Sequence[Any], place: int) -> list[Any]:
    """The layers behind a dropped one: who read it reads what was before it."""
    source = layers[place].get("inputs", ["input" if not place else layers[place - 1].get("name", "")])[0]
    found = []
    for layer in after:
        inputs = layer.get("inputs")
        found.append({**layer, "inputs": [source if one == name else one for one in inputs]} if inputs else dict(layer))
    return found

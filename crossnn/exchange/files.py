"""Parameters and optimizer state of a network as safetensors files, in our layout or a framework's.

Such a file holds arrays by name and a few texts, and nothing that could be executed. What it is of (network, optimizer,
settings, steps taken, layout) stands in its header, so that it is read again without being told; a file that a
framework's user saved is read where these are said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as decode
from safetensors.numpy import save as encode

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.network import assemble, initial_layer_state, initial_parameters
from crossnn.catalogue.rows import Layer, Network, Optimizer
from crossnn.errors import CrossnnError, DataError, choices, unknown
from crossnn.exchange.layout import Arrays, Layout
from crossnn.formula.graph import Node
from crossnn.registry import layout_of
from crossnn.runs.whole import write_bytes

OURS = "crossnn"
STATE = "optimizer"
"""How the names of optimizer state begin."""


@dataclass(frozen=True, eq=False)
class Saved:
    """What a training has come to: parameters and running statistics by path (`hidden.kernel`), and the state of the
    optimizer by slot and path, after `step` steps. Arrays keep their dtype."""

    network: str
    params: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)
    optimizer: str = ""
    state: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    step: int = 0

    def __repr__(self) -> str:
        numbers = sum(array.size for array in self.params.values())
        after = f", {self.optimizer} after {self.step} steps" if self.optimizer else ""
        return f"<Saved {self.network}: {numbers:,} parameters in {len(self.params)} arrays{after}>"


def initial(network: str, seed: int = 0) -> Saved:
    """Where every training of a network begins, on every backend: its parameters, drawn, and its statistics."""
    catalogue = load_catalogue()
    row = _network(network, catalogue)
    x = Node([], "input", shape=(1, *row.input), name="x", dtype="index" if row.tokens else "float")
    assembly = assemble(row, catalogue, x)
    return Saved(network, initial_parameters(assembly, seed), initial_layer_state(assembly, seed))


def save(file: str | Path, saved: Saved, layout: str = OURS) -> None:
    """Write the file in this layout: `crossnn`, or a backend's, such as `torch` (a `state_dict`)."""
    arrays = to_layout(saved, layout)
    about = {"network": saved.network, "optimizer": saved.optimizer, "step": str(saved.step), "layout": layout}
    try:
        write_bytes(Path(file), encode({name: np.ascontiguousarray(one) for name, one in arrays.items()}, about))
    except OSError as error:
        raise CrossnnError(f"{file}: cannot be written ({error.strerror}); choose another file") from error


def load(file: str | Path, network: str = "", layout: str = "", optimizer: str = "") -> Saved:
    """Read such a file; what its header does not say must be given."""
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give a safetensors file") from error
    try:
        arrays, about = decode(data), _header(data)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"{file}: not a whole safetensors file: {error}") from error
    network = network or about.get("network", "")
    if not network:
        raise DataError(f"{file}: its header names no network; say which it is: load(file, network=NAME, layout=...)")
    step = about.get("step", "0")
    if not step.isdigit() or len(step) > 15:
        raise DataError(f"{file}: step = {step[:40]!r} in its header is no number of steps")
    return from_layout(
        arrays, network, layout or about.get("layout", OURS), optimizer or about.get("optimizer", ""), int(step)
    )


def _header(data: bytes) -> dict[str, str]:
    """The texts of a safetensors header."""
    size = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    return {str(key): str(value) for key, value in found.items()}


def to_layout(saved: Saved, layout: str) -> dict[str, np.ndarray]:
    """All arrays by the names of a layout."""
    catalogue = load_catalogue()
    found = _renamed({**saved.params, **saved.statistics}, saved.network, layout, catalogue)
    slots = _slots(saved.optimizer, layout, catalogue)
    missing = saved.state.keys() - slots.keys()
    if missing:
        raise CrossnnError(
            f"the state {choices(missing)} of {saved.optimizer} has no place in the layout of {layout!r}; it keeps "
            f"{choices(slots) or 'none of it'}"
        )
    for slot, arrays in saved.state.items():
        theirs, sign = slots[slot]
        for name, array in _renamed(arrays, saved.network, layout, catalogue).items():
            found[f"{STATE}.{theirs}.{name}"] = array if sign > 0 else -array
    return found


def from_layout(arrays: Arrays, network: str, layout: str, optimizer: str = "", step: int = 0) -> Saved:
    """What arrays by the names of a layout are of ours; what belongs to no layer is an error that names it."""
    catalogue = load_catalogue()
    plain = {name: array for name, array in arrays.items() if not name.startswith(f"{STATE}.")}
    every = _back(plain, network, layout, catalogue)
    statistics = _statistics(network, catalogue)
    slots = {theirs: (slot, sign) for slot, (theirs, sign) in _slots(optimizer, layout, catalogue).items()}
    state: dict[str, dict[str, np.ndarray]] = {}
    for theirs in dict.fromkeys(name.split(".")[1] for name in arrays if name.startswith(f"{STATE}.")):
        if theirs not in slots:
            raise DataError(unknown("optimizer state", theirs, slots, f"Optimizer: {optimizer or 'none'}."))
        begin = f"{STATE}.{theirs}."
        own = {name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)}
        slot, sign = slots[theirs]
        state[slot] = {
            path: array if sign > 0 else -array for path, array in _back(own, network, layout, catalogue).items()
        }
    return Saved(
        network,
        {path: array for path, array in every.items() if path not in statistics},
        {path: array for path, array in every.items() if path in statistics},
        optimizer,
        state,
        step,
    )


def _network(name: str, catalogue: Catalogue) -> Network:
    row = catalogue.find(name)
    if not isinstance(row, Network):
        raise CrossnnError(f"{name!r} is of kind {row.kind!r}, not a network; see 'crossnn list networks'")
    return row


def _layers(network: str, catalogue: Catalogue) -> dict[str, tuple[Layer, dict[str, Any]]]:
    """Layer name -> its row and settings, of those that have parameters or statistics."""
    found = {}
    for table in _network(network, catalogue).layers:
        row = catalogue.rows.get(str(table.get("layer")))
        if isinstance(row, Layer) and (row.params or row.state):
            kept = {"layer", "name", "inputs", *row.params, *row.state}
            options, knobs = settings(row, {key: value for key, value in table.items() if key not in kept})
            found[str(table.get("name", row.name))] = row, {**options, **knobs}
    return found


def _statistics(network: str, catalogue: Catalogue) -> set[str]:
    return {f"{name}.{slot}" for name, (row, _) in _layers(network, catalogue).items() for slot in row.state}


def _slots(optimizer: str, layout: str, catalogue: Catalogue) -> Mapping[str, tuple[str, int]]:
    """Our slots of an optimizer -> their names and signs in a layout."""
    if not optimizer:
        return {}
    row = catalogue.find(optimizer)
    if not isinstance(row, Optimizer):
        raise CrossnnError(f"{optimizer!r} is of kind {row.kind!r}, not an optimizer")
    if layout == OURS:
        return {slot: (slot, 1) for slot in row.state}
    return layout_of(layout).optimizers.get(optimizer, {})


def _renamed(arrays: Arrays, network: str, layout: str, catalogue: Catalogue) -> dict[str, np.ndarray]:
    if layout == OURS:
        return dict(arrays)
    rules, found = layout_of(layout), dict[str, np.ndarray]()
    for name, (row, chosen) in _layers(network, catalogue).items():
        own = {path.rpartition(".")[2]: one for path, one in arrays.items() if path.rpartition(".")[0] == name}
        if own:
            rule = _rule(rules, row)
            found.update({f"{name}{rules.separator}{theirs}": one for theirs, one in rule.there(own, chosen).items()})
    return found


def _back(arrays: Arrays, network: str, layout: str, catalogue: Catalogue) -> dict[str, np.ndarray]:
    if layout == OURS:
        return dict(arrays)
    rules, found, taken = layout_of(layout), dict[str, np.ndarray](), set[str]()
    for name, (row, chosen) in _layers(network, catalogue).items():
        begin = f"{name}{rules.separator}"
        own = {theirs.removeprefix(begin): one for theirs, one in arrays.items() if theirs.startswith(begin)}
        taken |= {begin + theirs for theirs in own}
        found.update({f"{name}.{slot}": one for slot, one in _rule(rules, row).back(own, chosen).items()})
    left = arrays.keys() - taken - {name for name in arrays if name.endswith("num_batches_tracked")}
    if left:
        raise DataError(
            f"no layer of {network} has {choices(left)}; its layers: {choices(_layers(network, catalogue))}"
        )
    return found


def _rule(layout: Layout, row: Layer) -> Any:
    if row.name not in layout.layers:
        raise CrossnnError(f"{layout.name} has no layout for {row.name!r}; it has {choices(layout.layers)}")
    return layout.layers[row.name]

"""What was timed, in a line: the network, layer by layer, its loss, its optimizer and the size of its batch, as its
specification has them. Nothing of it is typed here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.network import assemble
from crossnn.catalogue.rows import Experiment, Network
from crossnn.errors import CrossnnError
from crossnn.formula.graph import Node
from crossnn.runs.timed import Prepared

ASIDE = ("layer", "name", "inputs")
"""Keys of a layer that say nothing about its size."""
SIZES = ("units", "filters")
"""Keys that every reader of networks knows: their number stands alone."""


def descriptions(timed: Iterable[Prepared]) -> dict[str, str]:
    """Specification -> a line, for each network that was timed and is in the catalogue."""
    groups: dict[str, list[Prepared]] = {}
    for one in timed:
        groups.setdefault(one.spec, []).append(one)
    catalogue = load_catalogue()
    found = {}
    for spec, group in groups.items():
        row = catalogue.rows.get(spec)
        network = catalogue.rows.get(row.network) if isinstance(row, Experiment) else None
        if isinstance(row, Experiment) and isinstance(network, Network):
            sizes = sorted({one.batch for one in group})
            found[spec] = _described(row, network, sizes, catalogue)
    return found


def changed(timed: Iterable[Prepared]) -> str:
    """A sentence where specifications are no longer what they were when they were timed; nothing otherwise."""
    rows = load_catalogue().rows
    names = {one.spec for one in timed if one.spec in rows and one.spec_sha not in ("", rows[one.spec].sha)}
    return (
        f"As specified today; since it was timed, {', '.join(sorted(names))} or a part of it has changed."
        if names
        else ""
    )


def _described(row: Experiment, network: Network, sizes: Iterable[int], catalogue: Catalogue) -> str:
    """`input 784 > dense 512 > relu > dense 10; 407,050 parameters; mse; sgd, lr 0.01; batch 64`."""
    shape = row.input or network.input
    layers = " > ".join([f"input {' x '.join(map(str, shape))}", *map(_layer, network.layers)])
    count = _parameters(network, tuple(shape), catalogue)
    parts = [layers, *([f"{count:,} parameters"] if count else []), row.loss, _used(row.optimizer)]
    return "; ".join([*parts, f"batch {', '.join(map(str, sizes))}"])


def _layer(layer: Mapping[str, object]) -> str:
    """`conv2d 32`, `max_pool2d`; what else is set by its name. How parameters are drawn is left out."""
    kind = str(layer.get("layer", "?"))
    sizes = [_plain(layer[name]) for name in SIZES if name in layer]
    others = [f"{name} {_plain(value)}" for name, value in layer.items()
              if name not in (*ASIDE, *SIZES) and not _draws(value)]  # fmt: skip
    return " ".join([kind, *sizes]) + (f" ({', '.join(others)})" if others else "")


def _draws(value: object) -> bool:
    row = load_catalogue().rows.get(value) if isinstance(value, str) else None
    return row is not None and row.kind == "initializer"


def _used(use: Mapping[str, object]) -> str:
    return ", ".join([_plain(use.get("use", "?")), *(f"{k} {_plain(value)}" for k, value in use.items() if k != "use")])


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parameters(network: Network, shape: tuple[int, ...], catalogue: Catalogue) -> int:
    """How many numbers are trained; 0 where the network cannot be assembled on this input."""
    tape: list[Node] = []
    try:
        assembly = assemble(network, catalogue, Node(tape, "input", shape=(1, *shape), name="x"))
    except CrossnnError:
        return 0
    return sum(math.prod(one.shape) for one in assembly.params.values())

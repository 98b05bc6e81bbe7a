"""What a comparison of ports is given, checked before anything runs: ports, inputs, shapes, options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.errors import CrossnnError, unknown
from crossnn.ports.tree import Tree, children, is_shape, leaves, rebuilt

DTYPES = ("float64", "float32")
PLAIN = (int, float, str, bool)
"""Values that are passed to every port as they are."""


def named_ports(ports: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(ports, Mapping):
        raise CrossnnError(
            f"ports is of type {type(ports).__name__}; give {{'numpy': f, 'torch': g}}, or any names with "
            "{'mine': ('torch', f), 'yours': ('torch', g)}"
        )
    return ports


def ports_of(ports: Mapping[str, Any]) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Name -> (backend, function)."""
    found = {}
    for name, given in named_ports(ports).items():
        backend, function = given if isinstance(given, tuple) and len(given) == 2 else (name, given)
        if not callable(function):
            raise CrossnnError(f"port {name!r} is {function!r}, not callable; give a function or (backend, function)")
        if registry.find(str(backend)).missing:
            registry.load(str(backend))  # says what to install
        found[str(name)] = (str(backend), function)
    if len(found) < 2:
        several = "port" if len(found) == 1 else "ports"
        raise CrossnnError(f"{len(found)} {several} given; parity needs two or more: {{'numpy': f, 'torch': g}}")
    return found


def dtypes_of(dtypes: Iterable[str]) -> list[str]:
    given = _listed("dtypes", dtypes)
    for dtype in given:
        if dtype not in DTYPES:
            raise CrossnnError(unknown("dtype", dtype, DTYPES))
    if not given:
        raise CrossnnError(f"dtypes is empty; give one or both of {', '.join(DTYPES)}")
    return [dtype for dtype in DTYPES if dtype in given]


def stages_of(stages: Iterable[str]) -> tuple[str, ...]:
    given = _listed("stages", stages)
    if len(set(given)) < len(given):
        raise CrossnnError(f"stages names a result twice: {', '.join(given)}; give every result a name of its own")
    return tuple(given)


def _listed(what: str, given: Iterable[str]) -> list[str]:
    """A single name stands for a list of one."""
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    if wrong := [one for one in listed if not isinstance(one, str)]:
        raise CrossnnError(f"{what} holds {wrong[0]!r}; give a name or a list of names")
    return listed


def seeds_of(seeds: int) -> int:
    if not isinstance(seeds, int | np.integer) or isinstance(seeds, bool) or seeds < 1:
        raise CrossnnError(f"seeds is {seeds!r}; give the number of seeds, 1 or more")
    return int(seeds)


def layouts_of(layouts: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Mapping[str, Any]]:
    given = layouts if layouts is not None else {}
    if not isinstance(given, Mapping) or not all(isinstance(one, Mapping) for one in given.values()):
        raise CrossnnError(f"layouts is {layouts!r}; give {{parameter: {{port: layout}}}}")
    return given


def inputs_of(inputs: Tree) -> Tree:
    """A dictionary with texts as keys, or a list."""
    if isinstance(inputs, Mapping):
        return {str(name): one for name, one in inputs.items()}
    if isinstance(inputs, tuple | list) and (not inputs or not is_shape(inputs)):
        return list(inputs)
    shown = (
        f"{inputs!r}" if inputs is None or isinstance(inputs, (*PLAIN, tuple)) else f"of type {type(inputs).__name__}"
    )
    raise CrossnnError(
        f"inputs is {shown}; give a dictionary such as {{'x': array}}, or a list such as [array]; a tuple of whole "
        "numbers inside of it stands for an array of this shape, and {} for no inputs"
    )


def drawn(tree: Tree, generator: np.random.Generator, path: str) -> Tree:
    """Shapes become normal numbers; anything else stays."""
    if is_shape(tree):
        try:
            return np.asarray(generator.normal(size=tree))
        except (ValueError, MemoryError) as error:
            raise CrossnnError(
                f"{path} has the shape {tree}, which cannot be drawn ({error}); give whole numbers from 0 that fit "
                "into memory"
            ) from error
    inner = children(tree)
    return tree if inner is None else rebuilt(tree, [drawn(one, generator, f"{path}.{key}") for key, one in inner])


def arrays(params: Mapping[str, Any], inputs: Mapping[str, Any], dtypes: Iterable[str]) -> dict[str, Any]:
    """Every leaf as it is computed with, by its name."""
    if both := [name for name in inputs if name in params]:
        raise CrossnnError(f"params and inputs both have {both[0]!r}; rename one of them")
    short = "float32" in dtypes
    return {name: array(name, one, short) for name, one in {**params, **inputs}.items()}


def array(name: str, value: Any, short: bool) -> Any:
    """Arrays whose numbers float32 has too, if that is compared; plain numbers, texts and None as they are."""
    if value is None or (isinstance(value, PLAIN) and not isinstance(value, np.generic)):
        return value
    if np.ma.is_masked(value):
        raise CrossnnError(f"{name!r} has masked elements, which no framework knows; fill them, as x.filled(0) does")
    try:
        found = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:
        raise CrossnnError(f"{name!r}: no array can be made of it: {type(error).__name__}: {error}") from error
    if found.dtype.kind in "OVMm":
        kind = "objects" if found.dtype.kind == "O" else f"elements of type {found.dtype}"
        raise CrossnnError(
            f"{name!r} is of type {type(value).__name__} and holds {kind}; allowed are arrays and numbers, texts, and "
            "dictionaries, lists, tuples and dataclasses of them"
        )
    if found.dtype.kind not in "fc":
        return found
    wide = found.astype(np.float64 if found.dtype.kind == "f" else np.complex128)
    rounded = wide.astype(np.float32 if found.dtype.kind == "f" else np.complex64).astype(wide.dtype)
    if np.array_equal(np.isfinite(rounded), np.isfinite(wide)):
        return rounded
    if not short:
        return wide
    largest = np.max(np.abs(wide[np.isfinite(wide)]))
    raise CrossnnError(
        f"{name!r} holds {largest:.3g}, more than float32 can (3.4e38), and both dtypes are to see the same numbers: "
        "scale it, or compare with dtypes=['float64']"
    )


def distinct(what: str, tree: Tree) -> None:
    """Two leaves of one dotted name would be one."""
    names = [name for name, _ in leaves(tree)]
    if both := [name for name in names if names.count(name) > 1]:
        raise CrossnnError(f"{what}: two leaves have the same dotted name {both[0]!r}; rename one of them")

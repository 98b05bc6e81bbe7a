"""Ports of one function, compared: values and gradients, in float64 and float32, each judged by measured noise.

The reference (by default the NumPy port, else the first) says what is right: crossnn/ports/reference.py. Inputs are
rounded to float32 first, so that both dtypes see the same numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.errors import CrossnnError, unknown
from crossnn.ports import given, models
from crossnn.ports.comparison import Comparison
from crossnn.ports.given import DTYPES
from crossnn.ports.port import NUMPY
from crossnn.ports.result import PortParityError, PortReport
from crossnn.ports.tree import Tree
from crossnn.ports.wanted import Wrt


def assert_parity(ports: Mapping[str, Any], inputs: Tree, wrt: Wrt = None, **options: Any) -> None:
    """Raise a `PortParityError`, an AssertionError, unless all ports compute the same; see `compare_ports`.

    >>> import numpy as np
    >>> from crossnn import assert_parity
    >>> def softsign(x): return x / (1 + np.abs(x))
    >>> def rewritten(x): return np.sign(x) * (1 - 1 / (1 + np.abs(x)))
    >>> assert_parity({"a": ("numpy", softsign), "b": ("numpy", rewritten)}, {"x": np.array([-2.0, 1.0, 3.0])})
    """
    __tracebackhide__ = True
    report = compare_ports(ports, inputs, wrt, **options)
    if report.failures:
        raise PortParityError(report)


def compare_ports(
    ports: Mapping[str, Any],
    inputs: Tree,
    wrt: Wrt = None,
    *,
    params: Tree | None = None,
    reference: str | None = None,
    layouts: Mapping[str, Mapping[str, Any]] | None = None,
    stages: Sequence[str] | str = (),
    dtypes: Sequence[str] | str = DTYPES,
    seeds: int = 1,
    device: str = "cpu",
    causes: bool = True,
) -> PortReport:
    """Compare values and gradients of one function written several times.

    ports: backend -> function, or any name -> (backend, function), the function taking tensors of that backend.
    inputs: name -> array, or a list of arrays; a tuple of whole numbers stands for an array of this shape, drawn anew
        for each of `seeds`. Arguments are given by name where the function has these names, else in order.
    params: a nested tree of arrays (or shapes), the first argument of every port.
    wrt: what gradients are taken of: dotted names, names of arguments, or places of inputs, one or a list; all
        parameters, or all inputs, by default; [] for none.
    reference: the port that is right: by default NumPy's, else the first.
    layouts: {"dense.kernel": {"torch": "transpose"}}, or axes such as "HWIO->OIHW"; of a parameter, by port or backend.
    stages: names for the results of ports that return several in a tuple; the first that departs is reported.
    A complex result is compared as two, its real and its imaginary part; gradients are those of real inputs only.
    causes: try known causes on ports that depart, which calls them again, also with edits of their source.
    """
    names = given.ports_of(ports)
    compared, several = given.dtypes_of(dtypes), given.seeds_of(seeds)
    named, stored = given.stages_of(stages), given.layouts_of(layouts)
    right = _reference_of(reference, names)
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(all="ignore"))  # infinities and NaN are compared like other numbers
        adapters = {backend: _adapter(backend) for backend, _ in names.values()}
        for adapter in adapters.values():
            stack.enter_context(models.guest(adapter))
        comparison = Comparison(names, right, adapters, device, named, stored, wrt)
        for seed in range(several):
            comparison.seed(seed, inputs, params, compared, causes)
    return comparison.report()


def _reference_of(name: str | None, ports: Mapping[str, tuple[str, Any]]) -> str:
    if name is None:
        return next((one for one, (backend, _) in ports.items() if backend == NUMPY), next(iter(ports)))
    if name not in ports:
        raise CrossnnError(unknown("port", str(name), ports))
    return name


_ADAPTERS: dict[str, Adapter] = {}


def _adapter(backend: str) -> Adapter:
    if backend not in _ADAPTERS:
        _ADAPTERS[backend] = registry.load(backend)
    return _ADAPTERS[backend]

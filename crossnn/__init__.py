"""crossnn: one specification of each neural-network formula, run by NumPy, TensorFlow, PyTorch and JAX, and judged.

Where what is:

    formula     the language: grammar, primitives, interpreters (numbers, graphs, source, LaTeX, noise, oracle)
    catalogue   specifications as frozen rows: reading, validating, and building graphs from them
    adapter     what a backend must provide; registry says which backends exist and how to reach them
    bindings    how implementations of a framework's own are bound to rows: what backends/*_native.py is made of
    backends    one adapter per framework (the folder backends/ of the repository)
    specs       the specifications themselves (the folder specs/ of the repository)
    parity      from a row to verdicts: inputs, truth, noise, judgement, the registry of known differences
    power       the checks checked: mutants of every row, and which of them are found
    identify    which formula a call of a framework, or a function of anyone's own, computes
    conventions what frameworks do by default: probes of their own layers, and what a port suffers
    atlas       how accurate functions are: grids of inputs, errors in units of float spacing
    exchange    parameters and optimizer state as files, in the layout of each framework
    ports       ported functions of anyone's own: compared, the first difference named
    causes      why a port departs: mistakes that people make, each tried until one explains it
    claims      sheets of claims as printed on slides: read, tried, refuted with the simplest counterexample
    questions   claims that only a measurement can judge: protocols, and rules for their verdicts
    experiment  data sets, and what an experiment trains on them
    timing      what is timed, the clock, rounds of visits, what the samples say
    training    the training loop, the reference curve, the verdict on loss curves
    standalone  one file that runs alone with one framework and prints the same numbers
    trace       the imperative view: every primitive as it runs
    drawing     graphs of any engine: laid out, drawn, compared
    lesson      the lesson: asking the backends, rules for verdicts, the page in two languages
    pictures    activations, paths of optimizers, decision boundaries, loss curves as SVG
    runs        cells and records; running cells in child processes; the journal of a run folder
    report      records as tables, Markdown and one HTML page
    cli         the commands; api, verified, timed and shown have the same for Python
    pytest_plugin  the same as a fixture
    errors      every way in which crossnn refuses, and the exit codes

What `__all__` lists is public; everything else may change. The names are imported when they are used, so that
`import crossnn` costs next to nothing and imports neither NumPy nor a framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossnn.api import Report, check, load
    from crossnn.errors import CrossnnError
    from crossnn.ports.compare import assert_parity, compare_ports
    from crossnn.ports.result import PortParityError, PortReport
    from crossnn.shown import Shown, show
    from crossnn.timed import Timed, time
    from crossnn.verified import Verified, verify

    __version__: str

__all__ = [
    "CrossnnError", "PortParityError", "PortReport", "Report", "Shown", "Timed", "Verified", "__version__",
    "assert_parity", "check", "compare_ports", "load", "show", "time", "verify",
]  # fmt: skip

_PLACES = {
    "CrossnnError": "errors",
    "PortParityError": "ports.result",
    "PortReport": "ports.result",
    "Report": "api",
    "Shown": "shown",
    "Timed": "timed",
    "Verified": "verified",
    "assert_parity": "ports.compare",
    "check": "api",
    "compare_ports": "ports.compare",
    "load": "api",
    "show": "shown",
    "time": "timed",
    "verify": "verified",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("crossnn")
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"crossnn.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'crossnn' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

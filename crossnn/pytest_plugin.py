"""The pytest plugin: the parity of ported functions as a fixture, and markers for backends.

    def test_my_layer(crossnn_parity):
        crossnn_parity({"numpy": layer_np, "torch": layer_torch}, {"x": (4, 3)}, params={"w": (3, 2)})

    @pytest.mark.crossnn_backend("torch")
    def test_of_torch(): ...

Nothing but pytest is imported until one of them is used; suites that use neither are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crossnn.ports.result import PortReport
    from crossnn.ports.wanted import Wrt

MARKER = "crossnn_backend"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crossnn", "parity of ported functions (crossnn)")
    only = "Only these backends: other ports, but for the reference, are left out, tests marked for others skipped."
    dtype = "float64, float32, or both (the default)."
    seeds = "So often inputs that are given as shapes are drawn anew. Default: 1."
    require = "Where one of these frameworks is missing, a test fails instead of being skipped; 'all' for every one."
    group.addoption("--crossnn-backend", action="append", default=[], metavar="NAME,...", help=only)
    group.addoption("--crossnn-dtype", action="append", default=[], metavar="NAME,...", help=dtype)
    group.addoption("--crossnn-seeds", type=int, default=1, metavar="N", help=seeds)
    group.addoption("--crossnn-require", action="append", default=[], metavar="NAME,...", help=require)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(name, ...): needs these crossnn backends; skipped where a framework is not installed"
    )
    _check_options(config)


def _check_options(config: pytest.Config) -> None:
    """One usage error, before anything runs; nothing is imported where none of the options is used."""
    seeds = config.getoption("--crossnn-seeds")
    if seeds < 1:
        raise pytest.UsageError(f"--crossnn-seeds: {seeds} given; give the number of seeds, 1 or more")
    options = ("--crossnn-dtype", "--crossnn-backend", "--crossnn-require")
    if not any(config.getoption(option) for option in options):
        return
    from crossnn import registry
    from crossnn.errors import CrossnnError
    from crossnn.ports.given import DTYPES, dtypes_of

    for option in options:
        given = _listed(config, option)
        if config.getoption(option) and not given:
            raise pytest.UsageError(f"{option}: nothing is named; give NAME,... or leave the option out")
        try:
            if option == "--crossnn-dtype":
                dtypes_of(given or DTYPES)
                continue
            for name in given:
                if name != "all" or option != "--crossnn-require":
                    registry.find(name)
        except CrossnnError as error:
            raise pytest.UsageError(f"{option}: {error}") from error


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers(MARKER):
        for name in marker.args:
            reason = _absent(item.config, str(name))
            if reason:
                pytest.skip(reason)


@pytest.fixture
def crossnn_parity(request: pytest.FixtureRequest) -> Callable[..., PortReport]:
    """`crossnn.assert_parity` with the options of the command line; gives the report where all ports agree.

    Where a framework is missing, the other ports are compared, and the test is then skipped with the reason.
    """
    config = request.config

    def check(ports: Mapping[str, Any], inputs: Any, wrt: Wrt = None, **options: Any) -> PortReport:
        __tracebackhide__ = True
        from crossnn.ports.compare import compare_ports
        from crossnn.ports.given import named_ports
        from crossnn.ports.result import PortParityError

        kept, reasons = {}, []
        ports = named_ports(ports)
        first = options.get("reference", "numpy" if "numpy" in ports else next(iter(ports), ""))
        for name, given in ports.items():
            backend = given[0] if isinstance(given, tuple) and len(given) == 2 else name
            reason = _absent(config, str(backend), chosen=name == first)
            if reason:
                reasons.append(reason)
            else:
                kept[name] = given
        if len(kept) < 2 and reasons:
            pytest.skip("; ".join(reasons))
        dtypes = _listed(config, "--crossnn-dtype")
        defaults: dict[str, Any] = {"seeds": config.getoption("--crossnn-seeds")}
        if dtypes:
            defaults["dtypes"] = dtypes
        report = compare_ports(kept, inputs, wrt, **{**defaults, **options})
        if report.failures:
            raise PortParityError(report)
        if reasons:
            pytest.skip(f"{report.summary}; not compared: {'; '.join(reasons)}")
        return report

    return check


def _listed(config: pytest.Config, option: str) -> list[str]:
    return [name.strip() for given in config.getoption(option) for name in given.split(",") if name.strip()]


def _absent(config: pytest.Config, name: str, chosen: bool = False) -> str:
    """Why this backend takes no part; "" where it does. A failure where it is required."""
    from crossnn import registry
    from crossnn.errors import CrossnnError

    only, required = _listed(config, "--crossnn-backend"), _listed(config, "--crossnn-require")
    problem = ""
    try:
        found = registry.find(name)
    except CrossnnError as error:
        problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
    if only and name not in only and not chosen:
        return f"backend {name} is not among --crossnn-backend {','.join(only)}"
    if not found.missing:
        return ""
    reason = f"backend {name} needs {', '.join(found.missing)}, not installed here: {found.hint}"
    if "all" in required or name in required:
        pytest.fail(f"{reason} (--crossnn-require)", pytrace=False)
    return reason


class _Crash:
    """What the summary line of a failed test says."""

    def __init__(self, message: str) -> None:
        self.message = message


class Compact:
    """A failure of parity: where the test asks for it, and the message; no traceback through crossnn."""

    def __init__(self, place: str, source: str, message: str, short: str) -> None:
        self.lines = [place, f">   {source}", *(f"E   {line}".rstrip() for line in message.splitlines())]
        self.reprcrash = _Crash(short)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def toterminal(self, writer: Any) -> None:
        for line in self.lines:
            writer.line(line, red=line.startswith("E"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    result = sys.modules.get("crossnn.ports.result")  # not imported: then nothing of it was raised
    if result is not None and call.excinfo is not None and isinstance(call.excinfo.value, result.PortParityError):
        ours = [entry for entry in call.excinfo.traceback if str(entry.path) == str(item.path)]
        entry = ours[-1] if ours else call.excinfo.traceback[-1]
        place = f"{entry.path}:{entry.lineno + 1}: in {entry.name}"
        error = call.excinfo.value
        source = str(entry.statement).strip().splitlines()[0]
        shown: Any = Compact(place, source, str(error), error.report.failures[0].short(error.report.reference))
        report.longrepr = shown
    return report

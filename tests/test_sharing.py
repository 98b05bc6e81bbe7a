"""What is computed once: for graphs that say the same, for seeds of one row, for the processes of one run. Nothing may
be stale: whatever a result depends on is part of its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossnn.formula import remembered
from crossnn.formula.fingerprint import KEPT, differentiated, fingerprint, joined, simplified
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record
from crossnn.formula.noise import noise_scales
from crossnn.formula.oracle import exact
from crossnn.formula.simplify import simplify
from crossnn.formula.source import OPERATORS, to_source
from crossnn.parity import backend
from crossnn.parity.check import check, subjects_of
from crossnn.parity.subject import Subject
from crossnn.runs.cell import Cell
from crossnn.runs.lanes import Lane, in_order, lanes_of, longest, shared_folder

MEANING = {**OPERATORS, **dict.fromkeys(("exp", "sum", "slice", "reshape"), abs)}


def graph(text: str = "exp(2*x) + y", x: tuple[int, ...] = (3,), **rest: Any) -> Graph:
    def function(**names: Node) -> Node:
        return record(parse(text), names, names["x"].tape)

    return Graph.trace(function, {"x": x, "y": (3,), **rest})


def named(name: str, value: float, text: str = "") -> Graph:
    return Graph.trace(lambda x: x * constant(x.tape, value, text, name), {"x": (3,)})


def test_graphs_that_say_the_same_have_one_fingerprint() -> None:
    assert fingerprint(graph()) == fingerprint(graph())
    assert simplified(graph()) is simplified(graph())
    assert differentiated(graph("sum(x*y)"), "x") is differentiated(graph("sum(x*y)"), "x")
    assert to_source(simplified(graph()), "f", MEANING) == to_source(simplify(graph()), "f", MEANING)


DIFFERENT = [
    graph(),
    graph("exp(2*x) - y"),
    graph("y + exp(2*x)"),
    graph("exp(2.0*x) + y"),  # to the oracle and to the noise it is the same; printed, it is not
    graph("exp(3*x) + y"),
    graph("exp(2*y) + x"),
    graph("exp(2*x) + x"),
    graph("exp(2*x) + y", y=(1,)),
    graph("exp(2*x) + y", z=(3,)),
    graph("sum(x, axis=0) + y"),
    graph("sum(x, axis=-1) + y"),
    graph("sum(x, axis=0, keepdims=True) + y"),
    graph("slice(x, axis=0, start=0, stop=2)"),
    graph("slice(x, axis=0, start=1, stop=3)"),
    named("", 0.1),
    named("", 0.1, "0.1"),
    named("alpha", 0.1),
    named("beta", 0.1),
    named("", 0.1 + 2**-56),
    Graph.trace(lambda x: (x, x), {"x": (3,)}),
    Graph.trace(lambda x: {"a": x, "b": x}, {"x": (3,)}),
    Graph.trace(lambda x: {"b": x, "a": x}, {"x": (3,)}),
    Graph.trace(lambda x: x["a"], {"x": {"a": (3,)}}),
]


def test_graphs_that_say_something_else_have_other_fingerprints() -> None:
    assert len({fingerprint(one) for one in DIFFERENT}) == len(DIFFERENT)


def test_joined_graphs_give_the_same_truth_and_share_what_they_have_in_common() -> None:
    arguments = {"x": np.array([0.3, -2.0, 1e-9]), "y": np.array([1.0, 7.0, -0.5]), "z": np.array(2.0)}
    parts = [graph("exp(x)*y"), graph("sum(exp(x)*y)"), graph("exp(x)*y/z", z=())]
    whole = joined(*parts)
    assert sum(node.operation == "exp" for node in whole.nodes) == 1
    assert joined(*[graph("exp(x)*y"), graph("sum(exp(x)*y)"), graph("exp(x)*y/z", z=())]) is whole
    for together, alone in zip(exact(whole, arguments), [exact(part, arguments)[0] for part in parts], strict=True):
        assert np.array_equal(together.hi, alone.hi)
        assert np.array_equal(together.lo, alone.lo)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    remembered.share(tmp_path)
    yield tmp_path
    remembered.share(None)


class Counted:
    """Computes, and counts how often."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays, self.times = arrays, 0

    def __call__(self) -> list[np.ndarray]:
        self.times += 1
        return self.arrays


X = {"x": np.array([0.5, -1.0, 2.0]), "y": np.zeros(3)}
ARRAYS = [np.array([[1.5, np.nan, -np.inf], [-0.0, 5e-324, 0.1]]), np.array(3.25), np.zeros((2, 0))]


def ask(compute: Callable[[], list[np.ndarray]], what: tuple[object, ...] = ("exact",)) -> list[np.ndarray]:
    return remembered.remembered(what, graph(), X, compute)


def test_a_result_is_computed_once_and_kept_bit_for_bit(folder: Path) -> None:
    compute = Counted(ARRAYS)
    found = [ask(compute), ask(compute), ask(compute)]
    assert compute.times == 1
    for arrays in found:
        for one, expected in zip(arrays, ARRAYS, strict=True):
            assert one.shape == expected.shape
            assert one.tobytes() == expected.tobytes()
    assert len(list(folder.iterdir())) == 1


def test_without_a_folder_nothing_is_kept() -> None:
    compute = Counted(ARRAYS)
    assert ask(compute) is ask(compute)
    assert compute.times == 2


def _nudged(name: str, index: int) -> dict[str, np.ndarray]:
    changed = {key: value.copy() for key, value in X.items()}
    changed[name][index] = np.nextafter(changed[name][index], 1)
    return changed


def test_whatever_a_result_depends_on_is_in_its_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Counted([np.zeros(1)])
    asked: list[tuple[tuple[object, ...], Graph, dict[str, np.ndarray]]] = [
        (("exact",), graph(), X),
        (("noise", "float64", 0, 12), graph(), X),
        (("noise", "float32", 0, 12), graph(), X),
        (("noise", "float64", 1, 12), graph(), X),
        (("noise", "float64", 0, 96), graph(), X),
        (("exact",), graph("exp(2*x) - y"), X),
        (("exact",), graph(), _nudged("x", 1)),
        (("exact",), graph(), _nudged("y", 2)),
        (("exact",), graph(), {"x": X["y"], "y": X["x"]}),
        (("exact",), graph(), {**X, "x": X["x"].astype(np.float32)}),
        (("exact",), graph(), {**X, "y": -X["y"]}),
    ]
    for number, (what, one, given) in enumerate(asked, 1):
        remembered.remembered(what, one, given, compute)
        assert compute.times == number
    monkeypatch.setattr(remembered, "_code", lambda: "another version of the oracle")
    ask(compute)
    assert compute.times == len(asked) + 1
    assert len(list(folder.iterdir())) == len(asked) + 1


def test_the_code_that_computes_is_all_of_the_formula_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "oracle.py").write_text("x = 1\n")
    monkeypatch.setattr(remembered, "__file__", str(tmp_path / "remembered.py"))
    remembered._code.cache_clear()
    before = remembered._code()
    (tmp_path / "oracle.py").write_text("x = 2\n")
    remembered._code.cache_clear()
    assert remembered._code() != before
    remembered._code.cache_clear()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda kept: b"",
    "cut": lambda kept: kept[:-1],
    "longer": lambda kept: kept + b"0",
    "another bit": lambda kept: kept[:-1] + bytes([kept[-1] ^ 1]),
    "another digest": lambda kept: bytes([kept[0] ^ 1]) + kept[1:],
    "something else": lambda kept: b"not a result at all, but long enough to hold a digest of 32 bytes",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_file_is_computed_again_and_mended(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    compute = Counted(ARRAYS)
    ask(compute)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert [one.tobytes() for one in ask(compute)] == [one.tobytes() for one in ARRAYS]
    assert compute.times == 2
    assert path.read_bytes() == whole


def test_a_folder_that_is_gone_or_full_costs_nothing_but_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    compute = Counted(ARRAYS)
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        ask(compute)
    assert not list(folder.iterdir())
    remembered.share(folder / "gone")
    ask(compute)
    assert compute.times == 2


def test_truth_and_noise_are_the_same_from_the_folder(folder: Path) -> None:
    arguments = {"x": np.array([-1000.0, 0.0, 0.3]), "y": np.array([0.1, 0.0, -1.0])}

    def found() -> list[bytes]:
        truth, noise = exact(graph(), arguments)[0], noise_scales(graph(), arguments, "float32")[0]
        return [truth.hi.tobytes(), truth.lo.tobytes(), noise.tobytes()]

    computed = found()
    assert len(list(folder.iterdir())) == 2
    assert found() == computed


def records(**cell: Any) -> list[tuple[Any, ...]]:
    subjects_of.cache_clear()
    found = check(Cell(task="check", mode="eager", **{"backend": "numpy", **cell}))
    return [(one.case, one.quantity, one.verdict, one.r, one.digits, one.worst, one.message) for one in found]


@pytest.mark.parametrize("spec", ["huber", "adam", "dense", "xor", "learn-xor", "uniform"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_cell_is_a_pure_function_with_and_without_a_folder(spec: str, dtype: str, tmp_path: Path) -> None:
    alone = records(spec=spec, dtype=dtype)
    remembered.share(tmp_path)
    try:
        assert records(spec=spec, dtype=dtype) == alone
        kept = len(list(tmp_path.iterdir()))
        assert kept > 0
        assert records(spec=spec, dtype=dtype) == alone
        assert len(list(tmp_path.iterdir())) == kept
    finally:
        remembered.share(None)


def test_a_changed_file_is_another_truth(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("own") / "my.toml"
    kept = 0
    for formula, value in (("x/(1 + exp(-x))", "swish"), ("x/(1 + exp(-2*x))", "steeper")):
        path.write_text(f'mine = "{formula}"\n')
        found = records(spec="mine", files=(str(path),))
        assert {one[2] for one in found} == {"EQUAL"}, value
        assert len(list(folder.iterdir())) > kept
        kept = len(list(folder.iterdir()))


class Counting:
    """NumPy's adapter, which counts what it compiles."""

    def __init__(self, adapter: Any) -> None:
        self.inner, self.compiled = adapter, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def compile(self, f: Any, mode: str, donated: int = 0) -> Any:
        self.compiled += 1
        return self.inner.compile(f, mode)


def test_the_seeds_of_a_row_are_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossnn import registry

    adapter = Counting(registry.load("numpy"))
    one = backend.Started(adapter)
    monkeypatch.setattr(backend, "_loaded", lambda name: one)
    monkeypatch.setitem(backend._by_adapter, id(adapter), one)

    def compiled(**cell: Any) -> int:
        before = adapter.compiled
        assert {found[2] for found in records(spec="tanh", **cell)} <= {"EQUAL", "KINK"}
        return adapter.compiled - before

    assert [compiled(seed=seed, dtype="float64") for seed in range(3)] == [2, 0, 0]
    assert [compiled(seed=seed, dtype="float32") for seed in range(3)] == [2, 0, 0]
    assert compiled(seed=9, dtype="float64") == 0
    for number in range(backend.KEPT):
        one.once(number, lambda: None)
    assert compiled(seed=0, dtype="float64") == 2
    assert len(one.made) == backend.KEPT


def test_derived_graphs_are_not_kept_for_ever() -> None:
    first = simplified(graph("x*0.5"))
    for number in range(KEPT + 1):
        simplified(Graph.trace(lambda x, number=number: GRAPH["exp"](x) * number, {"x": (1,)}))
    assert simplified(graph("x*0.5")) is not first


def planned(*seeds: int) -> list[Cell]:
    return [
        Cell(task="check", spec=spec, backend=name, dtype=dtype, seed=seed)
        for name in ("numpy", "torch")
        for spec in ("tanh", "relu")
        for seed in seeds
        for dtype in ("float64", "float32")
    ]


def test_seeds_follow_each_other() -> None:
    cells = planned(0, 1, 2)
    ordered = in_order(cells)
    assert sorted(cell.key for cell in ordered) == sorted(cell.key for cell in cells)
    assert [cell.seed for cell in ordered] == [0, 1, 2] * 8
    assert [(one.backend, one.spec, one.dtype) for one in ordered[::3]] == [
        (one.backend, one.spec, one.dtype) for one in planned(0)
    ]
    assert {(lane.backend, len(lane.cells)) for lane in lanes_of(cells)} == {("numpy", 12), ("torch", 12)}


def test_a_second_child_pays_for_a_long_lane_only() -> None:
    long, short, shared = (Lane("torch", "cpu", 1, planned(0)) for _ in range(3))
    for lane, seconds, children in ((long, 9.0, 1), (short, 0.1, 1), (shared, 90.0, 2)):
        lane.spent(seconds)
        lane.children = children
    assert longest([short, shared]) is None
    assert longest([short, long, shared]) is long
    assert long.take() == planned(0)[0]
    assert long.take(last=True) == planned(0)[-1]
    while long.take():
        pass
    assert long.take(last=True) is None
    assert longest([long]) is None


def test_a_folder_is_shared_where_two_backends_are_checked_and_is_gone_afterwards() -> None:
    with shared_folder(planned(0)) as found:
        assert found is not None
        (Path(found) / "kept").write_bytes(b"x")
    assert not Path(found).exists()
    with shared_folder([cell for cell in planned(0) if cell.backend == "numpy"]) as found:
        assert found is None


def test_a_subject_is_named_by_its_quantities() -> None:
    (subject,) = subjects_of("learn-xor", (), 0)
    assert isinstance(subject, Subject)
    assert None not in subject.truth
    assert set(subject.quantities) == set(subject.truth) == set(subject.noise("float64"))

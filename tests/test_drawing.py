"""Pictures of graphs, and what became of a graph: every row of the catalogue, planted differences, hostile labels."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from crossnn.catalogue.example import SHOWABLE, example
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.cli import main
from crossnn.drawing.diff import WORDS, compare, film, side_by_side
from crossnn.drawing.layers import Box, arrange, settled
from crossnn.drawing.layout import layout
from crossnn.drawing.names import canonical
from crossnn.drawing.own import passes, view_of
from crossnn.drawing.svg import MOST, Mark, draw, size
from crossnn.drawing.view import Kind, Vertex, View
from crossnn.formula.graph import Graph, Node, constant
from crossnn.formula.simplify import simplify

ROWS = [row for row in load_catalogue().rows.values() if row.kind in SHOWABLE]
SVG = "{http://www.w3.org/2000/svg}"


def view(*vertices: Vertex, results: Sequence[str], engine: str = "test", stage: str = "one") -> View:
    return View(engine, stage, vertices, tuple(results))


def op(key: str, operation: str, *inputs: str, within: str = "", shape: str = "") -> Vertex:
    return Vertex(key, operation, inputs, "operation", "", shape, within)


def arg(key: str, name: str = "") -> Vertex:
    return Vertex(key, "input", (), "input", name or key)


def number(key: str, text: str) -> Vertex:
    return Vertex(key, "constant", (), "constant", text)


def titles(svg: str) -> list[str]:
    """What each drawn vertex is called in full."""
    root = ET.fromstring(svg)
    return [str(group[0].text) for group in root.iter(f"{SVG}g") if len(group) and group[0].tag == f"{SVG}title"]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width - 1e-6
        and other.x < one.x + one.width - 1e-6
        and one.y < other.bottom - 1e-6
        and other.y < one.bottom - 1e-6
    )


def within(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x + 1e-6
        and inner.x + inner.width <= outer.x + outer.width + 1e-6
        and outer.y <= inner.y + 1e-6
        and inner.bottom <= outer.bottom + 1e-6
    )


def check_layout(vertices: Sequence[Vertex]) -> None:
    plan = layout(vertices, size)
    assert {*plan.boxes, *plan.groups} == {one.key for one in vertices}
    for one, other in itertools.combinations(plan.boxes.values(), 2):
        assert not overlap(one, other)
    inside: Mapping[str, str] = {one.key: one.within for one in vertices}
    for key, box in plan.boxes.items():
        holders = set()
        while inside[key] in plan.groups:
            key = inside[key]
            holders.add(key)
        for group, around in plan.groups.items():
            assert within(box, around) if group in holders else not overlap(box, around)
    for box in (*plan.boxes.values(), *plan.groups.values()):
        assert within(box, Box(0, 0, plan.width, plan.height))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_drawn(row: Row) -> None:
    graph = example(row).graph
    for one in (view_of(graph, "as recorded"), view_of(simplify(graph), "simplified")):
        if len(one.vertices) > MOST:
            assert f"{len(one.vertices)} vertices" in draw(one)
            continue
        check_layout(one.vertices)
        assert len(titles(draw(one, title=row.name))) == len(one.vertices)
    ET.fromstring(film(passes(graph)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_vertex_has_one_fate(row: Row) -> None:
    views = passes(example(row).graph)
    for before, after in [*itertools.pairwise(views), (views[0], views[-1]), (views[-1], views[-1])]:
        found = compare(before, after)
        fates = [*found.kept, *found.removed, *found.merged, *found.fused, *found.changed]
        assert sorted(fates) == sorted(one.key for one in before.vertices)
        known = {one.key for one in after.vertices}
        matched = [*found.kept.values(), *found.fused]
        assert len(matched) + len(found.new) == len(known)
        assert {*found.kept.values(), *found.merged.values(), *found.new} <= known
        if before is after:
            assert len(found.kept) == len(before.vertices)


def test_the_first_view_has_the_dead_ends() -> None:
    def function(x: Node) -> Node:
        x.apply("exp", (x,), {})
        return x + x

    first, *_, last = passes(Graph.trace(function, {"x": ()}))
    assert [one.operation for one in first.vertices] == ["input", "exp", "add"]
    assert [one.operation for one in last.vertices] == ["input", "add"]
    assert compare(first, last).removed == {"%1": "dead: no result needs it"}
    assert first.kernels == 2
    assert "exp" in first.text


# name -> (before, after, key -> what must have become of it, new keys)
PLANTED: Mapping[str, tuple[View, View, Mapping[str, str], set[str]]] = {
    "dead": (
        view(arg("x"), op("d", "exp", "x"), op("r", "tanh", "x"), results=["r"]),
        view(arg("a", "x"), op("b", "tanh", "a"), results=["b"]),
        {"x": "kept", "d": "removed", "r": "kept"},
        set(),
    ),
    "dead, and kept so": (
        view(arg("x"), op("d", "exp", "x"), op("r", "tanh", "x"), results=["r"]),
        view(arg("x"), op("e", "exp", "x"), op("s", "tanh", "x"), results=["s"]),
        {"x": "kept", "d": "kept", "r": "kept"},
        set(),
    ),
    "duplicates": (
        view(arg("x"), op("e", "exp", "x"), op("f", "exp", "x"), op("h", "tanh", "f"), op("r", "add", "e", "h"),
             results=["r"]),
        view(arg("x"), op("e", "exp", "x"), op("h", "tanh", "e"), op("r", "add", "e", "h"), results=["r"]),
        {"x": "kept", "e": "kept", "f": "merged", "h": "kept", "r": "kept"},
        set(),
    ),
    "chains of duplicates": (
        view(arg("x"), op("a", "exp", "x"), op("b", "tanh", "a"), op("c", "exp", "x"), op("d", "tanh", "c"),
             op("r", "multiply", "b", "d"), results=["r"]),
        view(arg("x"), op("a", "exp", "x"), op("b", "tanh", "a"), op("r", "multiply", "b", "b"), results=["r"]),
        {"x": "kept", "a": "kept", "b": "kept", "c": "merged", "d": "merged", "r": "kept"},
        set(),
    ),
    "not the same": (
        view(arg("x"), arg("y"), op("a", "subtract", "x", "y"), op("b", "subtract", "y", "x"),
             op("r", "multiply", "a", "b"), results=["r"]),
        view(arg("x"), arg("y"), op("a", "subtract", "x", "y"), op("b", "subtract", "y", "x"),
             op("r", "multiply", "b", "a"), results=["r"]),
        {"x": "kept", "y": "kept", "a": "kept", "b": "kept", "r": "kept"},
        set(),
    ),
    "the same sum the other way round": (
        view(arg("x"), arg("y"), op("a", "add", "x", "y"), op("b", "add", "y", "x"), op("r", "subtract", "a", "b"),
             results=["r"]),
        view(arg("x"), arg("y"), op("a", "add", "x", "y"), op("r", "subtract", "a", "a"), results=["r"]),
        {"x": "kept", "y": "kept", "a": "kept", "b": "merged", "r": "kept"},
        set(),
    ),
    "another difference, which is not the same the other way round": (
        view(arg("x"), arg("y"), op("a", "subtract", "x", "y"), op("b", "subtract", "y", "x"),
             op("r", "add", "a", "b"), results=["r"]),
        view(arg("x"), arg("y"), op("a", "subtract", "x", "y"), op("r", "add", "a", "a"), results=["r"]),
        {"x": "kept", "y": "kept", "a": "kept", "b": "changed", "r": "kept"},
        set(),
    ),
    "equal but for a repetition": (
        view(arg("x"), op("w", "broadcast", "x"), op("e", "exp", "x"), op("f", "exp", "w"), op("r", "add", "e", "f"),
             results=["r"]),
        view(arg("x"), op("e", "exp", "x"), op("r", "add", "e", "e"), results=["r"]),
        {"x": "kept", "w": "removed", "e": "kept", "f": "merged", "r": "kept"},
        set(),
    ),
    "times one": (
        view(arg("x"), number("1", "1"), op("m", "multiply", "x", "1"), op("r", "tanh", "m"), results=["r"]),
        view(arg("x"), op("r", "tanh", "x"), results=["r"]),
        {"x": "kept", "1": "removed", "m": "removed", "r": "kept"},
        set(),
    ),
    "one times": (
        view(arg("x"), number("1", "1"), op("m", "multiply", "1", "x"), op("e", "exp", "m"), op("r", "tanh", "e"),
             results=["r"]),
        view(arg("x"), op("e", "exp", "x"), op("r", "tanh", "e"), results=["r"]),
        {"x": "kept", "1": "removed", "m": "removed", "e": "kept", "r": "kept"},
        set(),
    ),
    "folded": (
        view(arg("x"), number("1", "1"), number("2", "2"), op("s", "add", "1", "2"), op("r", "multiply", "x", "s"),
             results=["r"]),
        view(arg("x"), number("3", "3.0"), op("r", "multiply", "x", "3"), results=["r"]),
        {"x": "kept", "1": "removed", "2": "removed", "s": "removed", "r": "kept"},
        {"3"},
    ),
    "rewritten": (
        view(arg("x"), arg("y"), op("n", "negative", "y"), op("r", "add", "x", "n"), results=["r"]),
        view(arg("x"), arg("y"), op("r", "subtract", "x", "y"), results=["r"]),
        {"x": "kept", "y": "kept", "n": "changed", "r": "changed"},
        {"r"},
    ),
    "fused": (
        view(arg("x"), arg("w"), op("m", "dot", "x", "w"), op("t", "tanh", "m"), op("r", "add", "t", "x"),
             results=["r"]),
        view(arg("x"), arg("w"), op("m", "dot", "x", "w"), Vertex("f", "loop fusion", ("m", "x"), "fused"),
             op("f/t", "tanh", "m", within="f"), op("f/r", "add", "f/t", "x", within="f"), results=["f"]),
        {"x": "kept", "w": "kept", "m": "kept", "t": "fused", "r": "fused"},
        set(),
    ),
    "fused, with arguments of its own": (
        view(arg("x"), op("t", "tanh", "x"), op("e", "exp", "t"), op("r", "cos", "e"), results=["r"]),
        view(arg("x"), Vertex("f", "fusion", ("x",), "fused"), Vertex("p", "parameter", (), "input", "p0", "", "f"),
             op("t", "tanh", "p", within="f"), op("e", "exp", "t", within="f"), op("r", "cosine", "f"), results=["r"]),
        {"x": "kept", "t": "fused", "e": "fused", "r": "kept"},
        set(),
    ),
    "a kernel of which only the operations are known": (
        view(arg("x"), op("t", "tanh", "x"), op("r", "mul", "t", "x"), results=["r"]),
        view(arg("x"), Vertex("k", "cpp_fused_mul_tanh_0", ("x",), "fused"), op("k/0", "mul", "x", within="k"),
             op("k/1", "tanh", "x", within="k"), results=["k"]),
        {"x": "kept", "t": "fused", "r": "fused"},
        set(),
    ),
    "other names, from jaxpr to StableHLO": (
        view(arg("a"), number("c", "0.5"), op("m", "mul", "a", "c"), op("g", "gt", "m", "c"), op("i", "max", "m", "a"),
             Vertex("s", "select_n", ("g", "a", "i")), results=["s"], engine="jax"),
        view(arg("arg0", "%arg0"), number("k", "dense<5.000000e-01>"), op("b", "stablehlo.broadcast_in_dim", "k"),
             op("m", "stablehlo.multiply", "arg0", "b"), op("g", "stablehlo.compare", "m", "b"),
             op("i", "stablehlo.maximum", "m", "arg0"), op("s", "stablehlo.select", "g", "i", "arg0"), results=["s"],
             engine="jax"),
        {"a": "kept", "c": "kept", "m": "kept", "g": "kept", "i": "kept", "s": "kept"},
        {"b"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_found(name: str) -> None:
    before, after, fates, new = PLANTED[name]
    found = compare(before, after)
    told = {key: fate for fate in ("kept", "removed", "merged", "fused", "changed") for key in getattr(found, fate)}
    assert told == fates
    assert set(found.new) == new
    ET.fromstring(side_by_side(before, after))


def test_a_fused_vertex_says_where_it_went() -> None:
    before, after, *_ = PLANTED["fused"]
    assert compare(before, after).fused == {"t": "f", "r": "f"}
    before, after, *_ = PLANTED["duplicates"]
    assert compare(before, after).merged == {"f": "e"}


def test_the_picture_shows_the_fates() -> None:
    before, after, *_ = PLANTED["chains of duplicates"]
    svg = side_by_side(before, after)
    drawn = [group.get("class") for group in ET.fromstring(svg).iter(f"{SVG}g") if group.get("class")]
    assert drawn.count("merged") == 2 + 1, "two vertices, and the swatch of the caption"
    assert "operations: 5" in svg
    assert "2 merged" in svg
    assert "2 слиты" in side_by_side(before, after, {**WORDS, "merged": "слиты"})
    assert WORDS["unchanged"] in side_by_side(before, before)


@pytest.mark.parametrize(
    ("operation", "engine", "name"),
    [
        ("mul", "jax", "multiply"),
        ("Mul", "tensorflow", "multiply"),
        ("AddV2", "tensorflow", "add"),
        ("stablehlo.dot_general", "jax", "matmul"),
        ("aten.mul.Tensor", "torch", "multiply"),
        ("torch.ops.aten.mm.default", "torch", "matmul"),
        ("exponential-minus-one", "jax", "expm1"),
        ("max", "jax", "maximum"),
        ("max", "crossnn", "max"),
        ("reduce_max", "jax", "max"),
        ("logistic", "jax", "sigmoid"),
        ("negate", "jax", "negative"),
        ("log", "crossnn", "log"),
        ("something.else", "", "something.else"),
    ],
)
def test_synonyms(operation: str, engine: str, name: str) -> None:
    assert canonical(operation, engine) == name


HOSTILE = "<script>alert('&\"')</script>\x00\ud800]]>"


def test_labels_are_data() -> None:
    one = view(
        Vertex("<k>", HOSTILE, (), "operation", HOSTILE, HOSTILE),
        Vertex("x&", "input", (), "input", HOSTILE),
        Vertex("f", HOSTILE, ("x&",), "fused", HOSTILE),
        op("m", HOSTILE, "x&", within="f"),
        results=["<k>"],
        engine=HOSTILE,
        stage=HOSTILE,
    )
    for svg in (draw(one, {"<k>": "removed"}, HOSTILE), side_by_side(one, one), draw(one)):
        root = ET.fromstring(svg)
        assert not list(root.iter(f"{SVG}script"))
        assert "<script>alert" in "".join(root.itertext())
        svg.encode("utf-8")


KINDS: list[Kind] = ["input", "constant", "operation"]
MARKS: list[Mark] = ["removed", "merged", "fused", "changed", "new"]


def test_kinds_and_marks_differ_without_colour() -> None:
    """The shape or the style of line says it, or a sign does: with colours struck out, no two look alike."""
    looks = set()
    for kind in (*KINDS, "fused"):
        found = re.search(
            r'<rect class="(\w)"[^>]*rx="([\d.]+)"', draw(view(Vertex("v", "v", (), kind, "v"), results=[]))
        )
        looks.add(found and found.groups())
    assert len(looks) == 4
    bare = [re.sub(r"<style>.*</style>", "", draw(view(op("v", "v"), results=[]), {"v": mark})) for mark in MARKS]
    assert len({re.sub(r'<g class="\w*">', "<g>", one) for one in bare if "fused" not in one}) == 3 + 1


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 5000])
def test_size_is_bounded(count: int) -> None:
    chain = [op(f"v{n}", "tanh", *([f"v{n - 1}"] if n else []), shape="[3, 4]") for n in range(count)]
    svg = draw(view(*chain, results=[f"v{count - 1}"] if count else []))
    ET.fromstring(svg)
    assert len(svg) < 60_000
    assert ("too many" in svg) == (count > MOST)
    if count > MOST:
        assert f"{count} operation" in svg


def test_malformed_views_are_drawn_anyway() -> None:
    """An engine's text may be misread: missing inputs, circles, groups within themselves."""
    circle = view(op("a", "f", "b", "nowhere"), op("b", "f", "a"), results=["a", "nowhere"])
    nested = view(op("a", "f", within="b"), op("b", "f", "a", within="a"), op("c", "f", within="gone"), results=["c"])
    for one in (circle, nested):
        ET.fromstring(draw(one))
        ET.fromstring(side_by_side(one, PLANTED["fused"][1]))
        ET.fromstring(side_by_side(PLANTED["fused"][0], one))


@st.composite
def graphs(draw_: st.DrawFn) -> list[Vertex]:
    count = draw_(st.integers(1, 40))
    groups = [f"g{n}" for n in range(draw_(st.integers(0, 3)))]
    vertices = [Vertex(key, "fusion", (), "fused") for key in groups]
    for n in range(count):
        earlier = st.sampled_from([f"v{m}" for m in range(n)]) if n else st.nothing()
        inputs = draw_(st.lists(earlier, max_size=3)) if n else []
        kind: Kind = "operation" if inputs else draw_(st.sampled_from(KINDS))
        where = draw_(st.sampled_from(["", *groups])) if kind == "operation" else ""
        vertices.append(Vertex(f"v{n}", "f" * draw_(st.integers(1, 12)), tuple(inputs), kind, "n", "", where))
    return vertices


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_no_boxes_overlap(vertices: list[Vertex]) -> None:
    check_layout(vertices)


def test_values_flow_down() -> None:
    graph = simplify(example(load_catalogue().find("mish")).graph)
    plan = layout(view_of(graph, "simplified").vertices, size)
    assert all(plan.boxes[wire.source].bottom < plan.boxes[wire.target].y for wire in plan.wires)
    assert all(abs(wire.points[-1][1] - plan.boxes[wire.target].y) < 1e-9 for wire in plan.wires)


def test_operands_enter_in_order() -> None:
    """y - x is drawn as it is written, however the boxes stand."""
    plan = layout([arg("x"), arg("y"), op("r", "subtract", "y", "x")], size)
    ends = {wire.source: wire.points[-1][0] for wire in plan.wires}
    assert ends["y"] < ends["x"]


def test_what_is_tied_to_nothing_stands_beside_the_others() -> None:
    sizes = dict.fromkeys("abcdxyz", (30.0, 20.0))
    found = arrange(sizes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")])
    assert found.width < len("axyz") * (30 + 3 * 14)


def test_two_rows_of_two_do_not_cross() -> None:
    found = arrange(dict.fromkeys("abcd", (30.0, 20.0)), [("a", "d"), ("b", "c")])
    left = {key: box.x for key, box in found.boxes.items()}
    assert (left["a"] < left["b"]) == (left["d"] < left["c"])


@pytest.mark.parametrize(
    ("wanted", "gaps", "places"),
    [
        ([0.0, 10.0], [5.0], [0.0, 10.0]),
        ([3.0, 3.0], [4.0], [1.0, 5.0]),
        ([9.0, 0.0, 0.0], [1.0, 1.0], [2.0, 3.0, 4.0]),
    ],
)
def test_places_are_the_nearest_that_keep_the_gaps(wanted: list[float], gaps: list[float], places: list[float]) -> None:
    """Least squares by hand: the middle of a block is the mean of what its members want."""
    assert settled(wanted, [1.0] * len(wanted), gaps) == pytest.approx(places)


def test_show_writes_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "softplus.svg"
    result = CliRunner().invoke(main, ["show", "softplus", "--svg", str(file)])
    assert result.exit_code == 0, result.output
    assert f"picture: {file}: " in result.output
    assert "as recorded" in result.output, "--svg implies --graph"
    root = ET.fromstring(file.read_text(encoding="utf-8"))
    assert sum("log1p" in text for text in root.itertext()) >= 2
    assert "divide" not in file.read_text(encoding="utf-8")
    derivative = CliRunner().invoke(main, ["show", "softplus", "--gradient", "--svg", str(file)])
    assert derivative.exit_code == 0, derivative.output
    assert "divide" in file.read_text(encoding="utf-8"), "the slope of log1p is a quotient"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softplus", "--svg", "no/such/folder/a.svg"], "cannot be written"),
        (["softplus", "tanh", "--svg", "a.svg"], "one file holds one graph"),
        (["softplus", "--svg", "a.svg", "--latex"], "--latex is LaTeX alone"),
        (["mlp", "--svg", "a.svg"], "no formula of its own"),
    ],
)
def test_show_refuses(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_numbers_have_their_names_and_texts() -> None:
    tape: list[Node] = []
    rate = constant(tape, 0.01, name="rate")
    total = rate + constant(tape, 2.0, "2.0")
    vertices = view_of(Graph({}, total, tuple(tape)), "as recorded").vertices
    assert [(one.kind, one.name) for one in vertices] == [("constant", "rate"), ("constant", "2"), ("operation", "")]

"""A derivative derived as on a blackboard: values forwards, the chain rule backwards, then tidied up.

Every line assigns a name to one small graph over the names before it, so that a line can be printed, evaluated and
tested alone. `g3` is the derivative of the result by `v3`. The rule of a line is the derivative formula of its
primitive, read from the table of primitives; the operands are called u and z there, and what arrives is g.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from crossnn.errors import FormulaError
from crossnn.formula.derive import Rules, gradients, rules, unbroadcast
from crossnn.formula.graph import GRAPH, Graph, Node, constant, topological
from crossnn.formula.inline import inline, lines
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.printer import identifier
from crossnn.formula.simplify import PASSES, exact_algebra, imply_broadcasts, merge_common, remove_dead
from crossnn.formula.stated import Rule, stated

MOST = 150
"""A derivation of more primitives is nothing to be read."""

ADDED = "used more than once: the shares add up"
ITSELF = "the result by itself"
GIVEN = "arrives from outside, one number for each of the result"


@dataclass(frozen=True)
class Step:
    """`name` = the result of `graph`, whose arguments are names from before. `why` says it where no rule does."""

    name: str
    graph: Graph
    rule: Rule | None = None
    why: str = ""

    @property
    def text(self) -> str:
        return f"{self.name} = {inline(self.graph)}"


@dataclass(frozen=True)
class Stage:
    """The whole derivative after a pass that changed it: how many primitives, and the lines that compute it."""

    name: str
    graph: Graph

    @property
    def primitives(self) -> int:
        return sum(node.operation not in ("input", "constant") for node in self.graph.live())


@dataclass(frozen=True)
class Derivation:
    """`names`: argument -> the name of its derivative. `arriving`: the argument that holds what arrives, or ""."""

    values: tuple[Step, ...]
    slopes: tuple[Step, ...]
    stages: tuple[Stage, ...]
    names: Mapping[str, str]
    arriving: str

    @property
    def result(self) -> Graph:
        """The derivative, tidied up: a tree by argument."""
        return self.stages[-1].graph


def steps(graph: Graph) -> tuple[list[Step], list[str]]:
    """The values of a graph line by line, and the names of its results."""
    graph = tidied(graph)
    naming = _Naming(graph, "")
    texts = [naming.value.get(id(node)) or inline(naming.line(node)) for node in graph.results]
    return _values(graph, naming), texts


def tidied(graph: Graph) -> Graph:
    """Equal values named once and nothing needless, but every number as it was written: sqrt(2) stays."""
    for _ in range(2):
        for step in (exact_algebra, imply_broadcasts, merge_common, remove_dead):
            graph = step(graph)
    return graph


def _values(graph: Graph, naming: _Naming) -> list[Step]:
    live = [node for node in graph.live() if node.operation not in ("input", "constant")]
    if len(live) > MOST:
        raise FormulaError(
            f"{len(live)} primitives are too many to be shown line by line; at most {MOST}. "
            "The code of the formula and of its derivative (--gradient) is shorter"
        )
    return [Step(naming.value[id(node)], naming.line(node)) for node in live]


def derive(graph: Graph, wrt: Sequence[str], arriving: str = "") -> Derivation:
    """Derive the single result of `graph` by some arguments. `arriving`: the name for what the result's elements are
    weighted with; without it they are simply added, which is the slope itself where elements do not meet."""
    graph = tidied(graph)
    naming = _Naming(graph, arriving)
    values = _values(graph, naming)
    slopes = list(_backwards(graph, wrt, naming, arriving))
    names = {name: naming.slope(graph.arguments[name]) for name in wrt}
    return Derivation(tuple(values), tuple(slopes), tuple(_stages(graph, wrt, arriving)), names, arriving)


class _Naming:
    """What every node is called, and lines in these names."""

    def __init__(self, graph: Graph, arriving: str) -> None:
        live = graph.live()
        self.value: dict[int, str] = {}
        self.value.update({id(node): identifier(node.name) for node in graph.arguments.values()})
        self.taken = {*PRIMITIVES, *self.value.values(), arriving}
        for node in live:
            if node.name and id(node) not in self.value:
                self.value[id(node)] = self.fresh(identifier(node.name))
        number = 0
        for node in live:
            if node.operation not in ("input", "constant") and id(node) not in self.value:
                number += 1
                self.value[id(node)] = self.fresh(f"v{number}")
        self._slope: dict[int, str] = {}

    def fresh(self, wanted: str) -> str:
        """A name of its own; an update line gives an argument's name to a new value."""
        while wanted in self.taken:
            wanted += "_" if wanted in PRIMITIVES else "_new"
        self.taken.add(wanted)
        return wanted

    def slope(self, node: Node) -> str:
        """The name of the derivative by this node."""
        if id(node) not in self._slope:
            name = self.value[id(node)]
            short = f"g{name[1:]}" if name[0] == "v" and name[1:].isdigit() else f"g_{name}"
            self._slope[id(node)] = self.fresh(short)
        return self._slope[id(node)]

    def named(self, tape: list[Node], node: Node, known: dict[str, Node]) -> Node:
        """The node as an argument of a line; a number stays a number."""
        if node.operation == "constant":
            return constant(tape, node.options["value"], node.options["text"], node.name)
        name = self.value[id(node)]
        return _argument(tape, name, node, known)

    def line(self, node: Node) -> Graph:
        tape: list[Node] = []
        known: dict[str, Node] = {}
        inputs = [self.named(tape, child, known) for child in node.inputs]
        return Graph(known, GRAPH[node.operation](*inputs, **node.options), tuple(tape))


def _argument(tape: list[Node], name: str, like: Node, known: dict[str, Node]) -> Node:
    if name not in known:
        known[name] = Node(tape, "input", shape=like.shape, dtype=like.dtype, name=name)
    return known[name]


@cache
def _rules() -> Rules:
    return rules(GRAPH)


def _backwards(graph: Graph, wrt: Sequence[str], naming: _Naming, arriving: str) -> Iterator[Step]:
    """The chain rule, from the result to the arguments. A derivative is complete when its value's users are through."""
    result = graph.result
    targets = {id(graph.arguments[name]) for name in wrt}
    needed = set(targets)
    for node in topological([result]):
        if any(id(child) in needed for child in node.inputs):
            needed.add(id(node))
    if id(result) not in needed:
        return
    tape: list[Node] = []
    known: dict[str, Node] = {}
    if arriving:
        seed = _argument(tape, arriving, result, known)
    else:
        seed = constant(tape, 1.0, "1")
        seed = seed if not result.shape else GRAPH["ones_like"](naming.named(tape, result, known))
    yield Step(naming.slope(result), Graph(known, seed, tuple(tape)), why=GIVEN if arriving else ITSELF)
    shares: dict[int, list[tuple[Graph, Rule]]] = {}
    for node in reversed(topological([result])):
        if id(node) in shares:
            yield from _collected(naming.slope(node), shares[id(node)], naming)
        if node.operation in ("input", "constant") or (node is not result and id(node) not in shares):
            continue
        for position, child in enumerate(node.inputs):
            if id(child) in needed:
                share = _share(node, position, naming)
                if share is not None:
                    shares.setdefault(id(child), []).append(share)


def _collected(name: str, shares: Sequence[tuple[Graph, Rule]], naming: _Naming) -> Iterator[Step]:
    if len(shares) == 1:
        yield Step(name, *shares[0])
        return
    parts = []
    for number, (graph, rule) in enumerate(shares, 1):
        parts.append(naming.fresh(f"{name}_{number}"))
        yield Step(parts[-1], graph, rule)
    tape: list[Node] = []
    known: dict[str, Node] = {}
    total = _argument(tape, parts[0], shares[0][0].result, known)
    for part, (graph, _) in zip(parts[1:], shares[1:], strict=True):
        total = total + _argument(tape, part, graph.result, known)
    yield Step(name, Graph(known, total, tuple(tape)), why=ADDED)


def _share(node: Node, position: int, naming: _Naming) -> tuple[Graph, Rule] | None:
    """What this use of an operand adds to the operand's derivative; nothing where no gradient flows."""
    primitive = PRIMITIVES[node.operation]
    rule = _rules().get((node.operation, -1 if primitive.variadic else position))
    if rule is None:
        return None
    tape: list[Node] = []
    known: dict[str, Node] = {}
    g = _argument(tape, naming.slope(node), node, known)
    out = naming.named(tape, node, known)
    inputs = [naming.named(tape, child, known) for child in node.inputs]
    before = (position,) if primitive.variadic else ()
    share = rule(g, out, *before, *inputs, **node.options)
    whole = unbroadcast(GRAPH, share, node.inputs[position].shape)
    used = {id(one) for one in topological([whole])}
    arguments = {name: one for name, one in known.items() if id(one) in used}
    return Graph(arguments, whole, tuple(tape)), stated(primitive, position, whole is not share)


def _stages(graph: Graph, wrt: Sequence[str], arriving: str) -> Iterator[Stage]:
    """The lines put together, and after each pass that changes them."""
    result = graph.result
    targets = [graph.arguments[name] for name in wrt]
    tape = list(graph.nodes)
    arguments = dict(graph.arguments)
    if arriving:
        seed = arguments[arriving] = Node(result.tape, "input", shape=result.shape, name=arriving)
    else:
        seed = constant(result.tape, 1.0, "1")
        seed = GRAPH["broadcast"](seed, shape=result.shape) if result.shape else seed
    found = gradients(result, targets, seed)
    nodes = tuple(tape) + tuple(result.tape[len(tape) :])
    whole = remove_dead(Graph(arguments, dict(zip(wrt, found, strict=True)), nodes))
    yield Stage("put together", whole)
    shown = _shape_of(whole)
    for turn in (1, 2):
        for name, step in PASSES.items():
            whole = step(whole)
            if _shape_of(whole) != shown:
                shown = _shape_of(whole)
                yield Stage(f"after: {name}" + (", again" if turn == 2 else ""), whole)


def _shape_of(graph: Graph) -> str:
    return "\n".join(lines(graph, {}))

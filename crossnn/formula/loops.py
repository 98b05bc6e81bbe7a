"""Equal steps become a loop again, for compilers that pay for every step that stands alone.

A recurrent layer is recorded step by step, so that no interpreter needs to know loops. XLA takes ten times as long to
compile 32 steps of an LSTM as to compile their loop, and its code for the steps is slower: the work backwards grows
with the square of their number. `rolled` finds steps that do the same to the values of the step before and to the next
slice of a sequence, and puts one node in their place. The first step stays outside: of the zeros with which it starts,
the passes have made something else. Where steps are not alike, or something from between them is needed, the graph
stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crossnn.formula.graph import Graph, Node, map_tree

LOOP = "loop"
"""An operation of rolled graphs, and what a meaning may have besides the primitives: loop(step, carried, sequences)
calls step(carried, parts) -> (carried, collected) for each slice of length 1 along axis 1 of the sequences, and gives
what was carried last, and what was collected, joined along axis 1."""
RESULT = "result of a loop"
FEWEST = 3
"""So many steps behind the first are worth a loop."""

Place = tuple[int, int]
"""Number of the step in the loop, position in the step."""


class _UnlikeError(Exception):
    """These steps are no loop."""


@dataclass
class _Steps:
    """Equal steps, and what connects them with each other and with the rest. Positions are those within a step."""

    nodes: list[list[Node]]
    places: dict[int, Place]
    parts: dict[int, Node] = field(default_factory=dict)
    """Position of a slice -> the sequence that it is of."""
    carried: dict[int, Node] = field(default_factory=dict)
    """Position in the step before -> what the first step is given in its place."""
    fixed: dict[int, Node] = field(default_factory=dict)
    """What every step is given, by identity."""
    joined: dict[int, int] = field(default_factory=dict)
    """Identity of a concatenation -> position of what it joins."""

    @property
    def sequences(self) -> list[Node]:
        return list({id(whole): whole for whole in self.parts.values()}.values())


def rolled(graph: Graph) -> Graph:
    """The graph with a loop in the place of equal steps; the same graph where there are none."""
    for loop in sorted({node.step[0] for node in graph.nodes if node.step is not None}):
        live = {id(node) for node in graph.live()}
        nodes = [node for node in graph.nodes if id(node) in live]  # recorded alike in every step
        try:
            steps = _steps(nodes, loop)
            _connect(steps)
            _outlets(steps, nodes, graph.results)
            graph = _with_loop(graph, nodes, steps)
        except _UnlikeError:
            continue
    return graph


def _steps(nodes: Sequence[Node], loop: int) -> _Steps:
    """The nodes of each step behind the first that depend on the place: slices, and what follows from them or from the
    step before. Constants, and what is computed from outer values alone, belong to no step."""
    found: list[list[Node]] = []
    places: dict[int, Place] = {}
    for node in nodes:
        if node.step is None or node.step[0] != loop or node.step[1] == 0 or node.operation == "constant":
            continue
        number = node.step[1] - 1
        follows = number == 0 and any(child.step == (loop, 0) for child in node.inputs)
        if node.operation == "slice" or follows or any(id(child) in places for child in node.inputs):
            found.extend([] for _ in range(number + 1 - len(found)))
            places[id(node)] = (number, len(found[number]))
            found[number].append(node)
    if len(found) < FEWEST or len({len(step) for step in found}) > 1:
        raise _UnlikeError
    return _Steps(found, places)


def _connect(steps: _Steps) -> None:
    """Compare the steps, node by node and argument by argument."""
    for position, alike in enumerate(zip(*steps.nodes, strict=True)):
        model = alike[0]
        if len({(node.operation, node.shape, node.dtype, len(node.inputs)) for node in alike}) > 1:
            raise _UnlikeError
        if model.operation == "slice" and id(model.inputs[0]) not in steps.places:
            wanted = [{"axis": 1, "start": place, "stop": place + 1} for place in range(1, len(alike) + 1)]
            if [node.options for node in alike] == wanted and len({id(node.inputs[0]) for node in alike}) == 1:
                steps.parts[position] = model.inputs[0]
                continue
        if any(_said(node) != _said(model) for node in alike):
            raise _UnlikeError
        for given in zip(*(node.inputs for node in alike), strict=True):
            _argument(steps, given)
    if not steps.parts or not steps.carried:
        raise _UnlikeError
    starts = steps.carried.values()  # a loop hands on tensors of one dtype
    beside = [*steps.sequences, *starts, *(steps.nodes[0][position] for position in steps.carried)]
    if any(one.dtype != "float" for one in beside) or any(one.operation == "constant" for one in starts):
        raise _UnlikeError


def _argument(steps: _Steps, given: Sequence[Node]) -> None:
    """Where an argument comes from: the step itself, the step before, a constant, or outside."""
    first, second = (steps.places.get(id(one)) for one in given[:2])
    if first is not None:
        wanted: list[Any] = [step[first[1]] for step in steps.nodes]
    elif second is not None:
        wanted = [given[0], *(step[second[1]] for step in steps.nodes[:-1])]
        if steps.carried.setdefault(second[1], given[0]) is not given[0] or given[0].shape != given[1].shape:
            raise _UnlikeError
    elif given[0].operation == "constant":
        if any(one.operation != "constant" or _said(one) != _said(given[0]) for one in given):
            raise _UnlikeError
        return
    else:
        wanted = [given[0]] * len(given)
        steps.fixed[id(given[0])] = given[0]
    if any(one is not right for one, right in zip(given, wanted, strict=True)):
        raise _UnlikeError


def _said(node: Node) -> tuple[str, str]:
    """Options and name as text: 0.0 equals -0.0, and is another constant."""
    return repr(sorted(node.options.items())), node.name if node.operation == "constant" else ""


def _outlets(steps: _Steps, nodes: Sequence[Node], results: Sequence[Node]) -> None:
    """What others may need: the last of what is carried, or a value of every step, joined along axis 1."""

    def is_last(node: Node) -> bool:
        number, position = steps.places[id(node)]
        return number == len(steps.nodes) - 1 and position in steps.carried

    for user in nodes:
        taken = [child for child in user.inputs if id(child) in steps.places]
        if id(user) in steps.places or all(map(is_last, taken)):
            continue
        position = steps.places[id(taken[0])][1]
        every = [step[position] for step in steps.nodes]
        tail = list(user.inputs[-len(every) :])
        if user.operation != "concatenate" or user.options["axis"] != 1 or taken != every or tail != every:
            raise _UnlikeError
        if every[0].dtype != "float":
            raise _UnlikeError
        steps.joined[id(user)] = position
    if not all(is_last(node) for node in results if id(node) in steps.places):
        raise _UnlikeError


def _body(steps: _Steps) -> Graph:
    """One step: (carried, parts, fixed) -> (carried, collected). Told by the second, which sees what is carried."""
    tape: list[Node] = []
    before, here = steps.nodes[:2]

    def argument(like: Node) -> Node:
        return Node(tape, "input", shape=like.shape, dtype=like.dtype, name=like.name)

    def part(whole: Node) -> Node:
        return Node(tape, "input", shape=(whole.shape[0], 1, *whole.shape[2:]), dtype=whole.dtype, name=whole.name)

    carried = {position: argument(before[position]) for position in steps.carried}
    parts = {id(whole): part(whole) for whole in steps.sequences}
    made = {id(before[position]): node for position, node in carried.items()}
    made.update({key: argument(node) for key, node in steps.fixed.items()})
    arguments = {"carried": tuple(carried.values()), "parts": tuple(parts.values()),
                 "fixed": tuple(made[key] for key in steps.fixed)}  # fmt: skip
    for position, node in enumerate(here):
        if position in steps.parts:
            made[id(node)] = parts[id(steps.parts[position])]
            continue
        for child in node.inputs:
            if id(child) not in made:
                made[id(child)] = _copy(tape, child, ())
        made[id(node)] = _copy(tape, node, [made[id(child)] for child in node.inputs])
    collected = dict.fromkeys(steps.joined.values())
    return Graph(
        arguments, tuple(tuple(made[id(here[at])] for at in some) for some in (carried, collected)), tuple(tape)
    )


def _with_loop(graph: Graph, nodes: Sequence[Node], steps: _Steps) -> Graph:
    """The graph again: what does not need the steps, the loop, its results, and the rest."""
    tape: list[Node] = []
    made: dict[int, Node] = {}
    later = set(steps.places)
    for node in nodes:
        if any(id(child) in later for child in node.inputs):
            later.add(id(node))
        if id(node) not in later:
            made[id(node)] = _copy(tape, node, [made[id(child)] for child in node.inputs])

    if any(id(node) in later for node in (*steps.sequences, *steps.carried.values(), *steps.fixed.values())):
        raise _UnlikeError
    count = len(steps.nodes)
    sequences = [
        made[id(whole)].apply("slice", (made[id(whole)],), {"axis": 1, "start": 1, "stop": count + 1})
        for whole in steps.sequences
    ]
    outer = [made[id(node)] for node in (*steps.carried.values(), *steps.fixed.values())]
    given = (*outer[: len(steps.carried)], *sequences, *outer[len(steps.carried) :])
    loop = Node(tape, LOOP, given, {"body": _body(steps)})

    def result(kind: int, number: int, like: Node, length: int) -> Node:
        shape = like.shape if not kind else (like.shape[0], length * like.shape[1], *like.shape[2:])
        return Node(tape, RESULT, (loop,), {"of": (kind, number)}, shape, like.dtype, "" if kind else like.name)

    last = steps.nodes[-1]
    for number, position in enumerate(steps.carried):
        made[id(last[position])] = result(0, number, last[position], 1)
    collected = {
        position: result(1, number, last[position], count)
        for number, position in enumerate(dict.fromkeys(steps.joined.values()))
    }
    for node in nodes:
        if id(node) in made or id(node) in steps.places:
            continue
        inputs = [made[id(child)] for child in node.inputs if id(child) not in steps.places or id(child) in made]
        if id(node) in steps.joined:
            inputs = [*inputs[: len(node.inputs) - count], collected[steps.joined[id(node)]]]
        made[id(node)] = _copy(tape, node, inputs)

    def place(node: Node) -> Node:
        if id(node) not in made:  # an argument that nothing uses
            made[id(node)] = _copy(tape, node, ())
        return made[id(node)]

    return Graph(map_tree(place, graph.arguments), map_tree(place, graph.result), tuple(tape))


def _copy(tape: list[Node], node: Node, inputs: Sequence[Node]) -> Node:
    made = Node(tape, node.operation, tuple(inputs), node.options, node.shape, node.dtype, node.name)
    made.step = node.step
    return made

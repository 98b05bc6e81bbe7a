"""How parameters move in a standalone file: one generated update for all parameters, what clips their gradients, what
they must obey afterwards, and the learning rate of a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossnn.catalogue.updates import clip_gradients
from crossnn.experiment.problem import Problem
from crossnn.experiment.rule import Chosen, Rule
from crossnn.formula.graph import Graph
from crossnn.formula.shapes import Shape
from crossnn.standalone.dialect import Dialect, Function, own_name
from crossnn.standalone.draft import quoted
from crossnn.standalone.optimizers import update_function


@dataclass(frozen=True)
class Update:
    """How parameters move: generated functions, and the text of `update(params, gradients, state, lr, t)`."""

    functions: Sequence[Function]
    text: str


def update_of(problem: Problem, dialect: Dialect) -> Update:
    """The update of one parameter, for all; the update of all at once where their shapes make it another one."""
    rule, shapes = problem.rule, {name: value.shape for name, value in problem.params.items()}
    row, hyper, knobs = rule.optimizer.row, rule.optimizer.hyper, rule.optimizer.knobs
    moves = _alike(update_function(row, shape, hyper, knobs, dialect) for shape in set(shapes.values()))
    if moves is None:
        return Update([dialect.function(problem.update, "update")], "")
    functions, lines = [moves], []
    if rule.clip is not None:
        functions.append(_clip(rule, shapes, dialect))
        lines.append(f"gradients = {functions[-1].name}(gradients)")
    slots = "".join(f', state["{slot}"][name]' for slot in row.state)
    lines += [
        "found = {}",
        "for name, w in params.items():",
        f"    found[name] = {moves.name}(w, gradients[name], lr, t{slots})",
        'params = {name: one["w"] for name, one in found.items()}',
        "state = {slot: {name: one[slot] for name, one in found.items()} for slot in state}",
    ]
    for constraint, slot in rule.constraints:
        own = [shape for name, shape in shapes.items() if name.rsplit(".", 1)[-1] == slot]
        obeys = _alike(_constraint(constraint, shape, dialect) for shape in set(own))
        if obeys is None:
            return Update([dialect.function(problem.update, "update")], "")
        functions.append(obeys)
        lines.append(
            f'params = {{name: {obeys.name}(w) if name.rsplit(".", 1)[-1] == {quoted(slot)} else w '
            "for name, w in params.items()}"
        )
    head = ["def update(params, gradients, state, lr, t):", f'    """One step of {row.name} for every parameter."""']
    return Update(functions, "\n".join([*head, *(f"    {line}" for line in lines), "    return params, state"]))


def _alike(functions: Iterable[Function]) -> Function | None:
    """The function, if all of them say the same."""
    found = {one.text: one for one in functions}
    return next(iter(found.values())) if len(found) == 1 else None


def _clip(rule: Rule, shapes: Mapping[str, Shape], dialect: Dialect) -> Function:
    clip = rule.clip
    assert clip is not None

    def function(gradients: Any) -> Any:
        return clip_gradients(clip.row, gradients, clip.hyper, clip.knobs)

    return dialect.function(Graph.trace(function, {"gradients": dict(shapes)}), own_name(clip.row))


def _constraint(constraint: Chosen, shape: Shape, dialect: Dialect) -> Function:
    graph = Graph.trace(lambda w: constraint.record({"w": w}), {"w": shape})
    return dialect.function(graph, own_name(constraint.row))


def schedule_function(rule: Rule, dialect: Dialect) -> Function:
    schedule = rule.schedule
    assert schedule is not None
    graph = Graph.trace(lambda t: schedule.record({"t": t}), {"t": ()})
    return dialect.function(graph, own_name(schedule.row))

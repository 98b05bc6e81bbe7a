"""Mistakes in what a training adds to its loss and to its update: regularizers, weight decay, clipping, constraints;
and hyper-parameters that are a little wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from crossnn.catalogue.rows import Experiment, Trained
from crossnn.formula.fingerprint import fingerprint
from crossnn.power.mistakes import Change, Mistake
from crossnn.power.practice import Practice, gradient_graph, with_gradient, with_row, with_update


def penalties(one: Practice) -> Iterator[Mistake]:
    """Regularizers and weight decay on what they are not for, or on nothing; clipping and constraints left out,
    clipping by another norm."""
    row = one.problem.row

    def objective(**fields: Any) -> Change:
        return lambda one: with_gradient(one, gradient_graph(with_row(one.problem, _with(row, **fields))))

    def rule(**fields: Any) -> Change:
        return lambda one: with_update(one, with_row(one.problem, _with(row, **fields)))

    if isinstance(row, Experiment) and row.regularizers:
        moved = [*row.regularizers, *({**dict(term), "on": "bias"} for term in row.regularizers)]
        yield Mistake("regularizers", "of kernels", "of biases too", objective(regularizers=moved))
        yield Mistake("regularizers", "added", "left out", objective(regularizers=[]))
    without = with_row(one.problem, _with(row, optimizer={**row.optimizer, "weight_decay": 0.0}))
    decays = "weight_decay" in one.problem.rule.optimizer.hyper
    if decays and fingerprint(without.update) != fingerprint(one.problem.update):
        bare = rule(optimizer={**row.optimizer, "weight_decay": 0.0})
        yield Mistake("weight decay", "of every parameter", "of none", bare)
        biases = [name for name in one.problem.params if name.rsplit(".", 1)[-1] == "bias"]
        if biases:
            yield Mistake("weight decay", "of biases too", "not of biases", lambda one: _spared(one, biases, bare(one)))
    if row.clip:
        yield Mistake("clipping", "clipped", "not clipped", rule(clip={}))
        others = {"clip_by_norm": "clip_by_global_norm", "clip_by_global_norm": "clip_by_norm"}
        if other := others.get(str(row.clip["use"])):
            yield Mistake("clipping", str(row.clip["use"]), other, rule(clip={**row.clip, "use": other}))
    if row.constraints:
        yield Mistake("constraints", "made to hold", "left out", rule(constraints=[]))


def _spared(one: Practice, names: list[str], bare: Practice) -> Practice:
    """The update with weight decay, but of some parameters that without."""

    def update(params: Any, found: Any, state: Any, lr: Any, t: Any) -> Any:
        (moved, new_state), (others, _) = (each.update(params, found, state, lr, t) for each in (one, bare))
        return {**moved, **{name: others[name] for name in names}}, new_state

    return replace(one, update=update)


def setting_moved(one: Practice) -> Iterator[Mistake]:
    """A hyper-parameter of the optimizer that is wrong by a millionth, or that of a regularizer."""
    row = one.problem.row
    for name, value in one.problem.rule.optimizer.hyper.items():
        moved = _with(row, optimizer={**row.optimizer, name: value * (1 + 1e-6)})
        if name != "lr" and fingerprint(with_row(one.problem, moved).update) != fingerprint(one.problem.update):
            yield Mistake(name, f"{value!r}", f"{value!r}*(1 + 1e-6)", _ruled(moved))
    terms: list[Mapping[str, Any]] = list(row.regularizers) if isinstance(row, Experiment) else []
    for place, term in enumerate(terms):
        for key, rate in term.items():
            if isinstance(rate, float):
                moved = _with(row, regularizers=[*terms[:place], {**term, key: rate * (1 + 1e-6)}, *terms[place + 1 :]])
                yield Mistake(f"regularizers.{key}", f"{rate!r}", f"{rate!r}*(1 + 1e-6)", _objective(moved))


def _objective(row: Trained) -> Change:
    return lambda one: with_gradient(one, gradient_graph(with_row(one.problem, row)))


def _ruled(row: Trained) -> Change:
    return lambda one: with_update(one, with_row(one.problem, row))


def _with(row: Trained, **fields: Any) -> Trained:
    return msgspec.structs.replace(row, **fields)

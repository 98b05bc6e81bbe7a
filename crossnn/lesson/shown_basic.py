"""Steps L0 to L4 as they are shown: values, operations, executions of Python, graphs, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from crossnn.drawing.diff import WORDS, side_by_side
from crossnn.drawing.own import passes
from crossnn.drawing.view import Vertex, View
from crossnn.formula.derivation import derive
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, Node, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.lesson import agreement, verdicts
from crossnn.lesson.page import Cell, Html, code, details, figure, heading, prose, table
from crossnn.lesson.page import side_by_side as columns
from crossnn.lesson.programs import CHAIN_OPERATIONS, CHAIN_TEXT, HAND, NETWORK, chain, network_arguments, recorded
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import Verdict

ByDtype = Mapping[str, Mapping[str, Any]]
Shown = tuple[Verdict, list[Html]]


def seconds(value: float) -> str:
    """Three digits with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def both_give(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    rows = [[f"{b} {m}", say("ui.imperative" if eager else "ui.symbolic"), ", ".join(dict.fromkeys(one["values"]))]
            for b, m, eager, one in verdicts.engines(found)]  # fmt: skip
    codes = [(backend, code(one["code"])) for backend, one in verdicts.present(found)]
    return verdicts.both_give(found), [
        columns(codes),
        table([say("ui.engine"), say("ui.kind"), say("L0.every_element")], rows),
    ]


def operations(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    shown = [code(CHAIN_TEXT.format(again=say("L1.again"), dead=say("L1.dead")))]
    for backend, mode, _, one in list(verdicts.engines(found))[:1]:
        headers = [say("L1.operation"), say("L1.inputs"), say("L1.value"), say("L1.bytes"), say("L1.time")]
        rows = [[call["operation"], ", ".join(str(i) for i in call["inputs"]), str(call["value"]),
                 "" if call["bytes"] is None else str(call["bytes"]), seconds(call["seconds"])]
                for call in one["calls"]]  # fmt: skip
        shown += [prose(say("L1.as_it_runs", engine=f"{backend} {mode}")), table(headers, rows)]
    rows_of_all = []
    for backend, mode, _, one in verdicts.engines(found):
        known = sum(call["value"] is not None for call in one["calls"])
        kinds = ", ".join(dict.fromkeys(call["type"] for call in one["calls"]))
        rows_of_all.append([f"{backend} {mode}", str(len(one["calls"])), str(known), kinds])
    headers = [say("ui.engine"), say("L1.calls"), say("L1.known"), say("L1.type")]
    shown += [prose(say("L1.all_engines", number=CHAIN_OPERATIONS)), table(headers, rows_of_all)]
    return verdicts.at_once(found), shown


def executions(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    headers = [
        say("ui.engine"),
        say("L2.inside"),
        say("L2.equal"),
        say("L2.shape"),
        say("L2.numbers"),
        say("L2.graphs"),
    ]
    rows = []
    for backend, mode, _, one in verdicts.engines(found):
        phases = one["phases"]
        counts = [f"{phases[name]['python']} / {phases[name]['calls']}" for name in ("equal", "shape", "numbers")]
        made = [phases[name]["graphs"] for name in ("equal", "shape", "numbers")]
        graphs = "-" if None in made else " + ".join(map(str, made))
        rows.append([f"{backend} {mode}", f"`{one['inside']}`", *counts, graphs])
    return verdicts.first_the_graph(found), [table(headers, rows), prose(say("L2.legend"))]


def view_of(data: Mapping[str, Any]) -> View:
    """A view as it came from a child process."""
    vertices = tuple(Vertex(**{**one, "inputs": tuple(one["inputs"])}) for one in data["vertices"])
    return View(**{**data, "vertices": vertices, "results": tuple(data["results"])})


def stages(answers: Mapping[str, Any]) -> dict[str, list[View]]:
    """Engine -> the stages of the chain's graph, in order; ours too, which needs no backend."""
    found = {"crossnn": passes(recorded(chain))}
    for backend, mode, eager, one in verdicts.engines(answers):
        views = [view_of(view) for view in one["views"]]
        if backend != "numpy" and not eager:
            found[f"{backend} {mode}"] = views
    return found


def graphs(say: Texts, answers: ByDtype) -> Shown:
    words = {name: say(f"drawing.{name}") for name in WORDS}
    found = stages(answers["float64"])
    counts: dict[str, tuple[int, int, bool]] = {}
    shown, rows = [code(CHAIN_TEXT.format(again=say("L1.again"), dead=say("L1.dead")))], []
    for engine, views in found.items():
        drawn = [view for view in views if view.vertices]
        for view in views:
            names = ", ".join(f"{n} {name}" for name, n in view.operations.items())
            public = "" if view.public else say("L3.private")
            note = " ".join(part for part in (view.note, public) if part)
            rows.append([f"{engine}: {view.stage}", str(sum(view.operations.values())), str(view.kernels), names, note])
        if len(drawn) < 2:
            continue
        before, after = drawn[0], drawn[-1]
        dead = any(name.split(".")[-1].lower() == "exp" or name == "exponential" for name in after.operations)
        counts[engine] = sum(before.operations.values()), after.kernels, dead
        shown.append(heading(3, engine))
        shown.append(
            figure(side_by_side(before, after, words), say("L3.caption", first=before.stage, last=after.stage))
        )
        inner = [figure(side_by_side(one, other, words), "") for one, other in pairwise(drawn)
                 if len(drawn) > 2 and one.vertices != other.vertices]  # fmt: skip
        texts = [part for view in drawn for part in (heading(4, view.stage), code(view.text)) if view.text]
        if inner:
            shown.append(details(say("L3.each_stage"), *inner))
        shown.append(details(say("L3.own_print"), *texts))
    headers = [say("L3.stage"), say("L3.operations"), say("L3.kernels"), say("L3.which"), say("L3.note")]
    return verdicts.found_unused(counts), [*shown, heading(3, say("L3.counts")), table(headers, rows)]


def derivatives(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float64"]
    judged = agreement.judged_gradients(found, agreement.network_truth()) if list(verdicts.present(found)) else {}
    rows: list[list[str | Cell]] = []
    names = {"by hand": say("L4.by_hand"), "central differences": say("L4.central")}
    for name, (one, error) in judged.items():
        central = name == "central differences"
        kind = "" if central else "good" if one.verdict in ("EQUAL", "ROUNDING") else "bad"
        word = say("L4.approximation") if central else one.verdict
        rows.append([names.get(name, name), Cell(word, kind), "-" if one.r is None else f"{one.r:.3g}", f"{error:.2g}"])
    lines = [f"f = {NETWORK}", *(f"df/d{name} = {text}" for name, text in HAND.items())]
    headers = [say("L4.method"), say("ui.verdict"), "r", say("L4.error")]
    return agreement.derivatives_agree(judged), [
        code("\n".join(lines)),
        details(say("L4.mechanically"), prose(say("L4.chain_rule")), _derivation(say)),
        prose(say("L4.rule")),
        table(headers, rows),
    ]


def _derivation(say: Texts) -> Html:
    """The chain rule line by line, as our own rules apply it, with the first element of each value."""
    params, data = network_arguments()
    known: dict[str, Any] = {**params, **data}

    def network(**names: Node) -> Node:
        return record(parse(NETWORK), names, names["X"].tape)

    found = derive(Graph.trace(network, {name: array.shape for name, array in known.items()}), list(params))
    rows = []
    for step in (*found.values, *found.slopes):
        given = {name: known[name] for name in step.graph.arguments}
        known[step.name] = evaluate(step.graph, NUMPY, given, lambda node: node.options["value"])
        why = str(step.rule) if step.rule else step.why
        rows.append([f"`{step.text}`", f"`{why}`" if why else "", f"{float(np.ravel(known[step.name])[0]):.6g}"])
    return table([say("L4.line"), say("L4.by_rule"), say("L4.first_element")], rows)
